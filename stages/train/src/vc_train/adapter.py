"""The LoRA adapter: laid over the base before training, written out with its card after it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from vc_common import csm
from vc_train.settings import Settings

CARD = """\
---
{base_line}library_name: peft
license: other
tags: [voice-cloning, csm, text-to-speech, lora]
---

# {voice}

A LoRA adapter that gives the CSM `{base_model}` the voice "{voice}", made by the Voice Cloning
Pipeline.

**Consent:** {consent}

Use this voice only within that consent. Speech made with it must be labelled as synthetic.

| | |
|---|---|
| clips to train / to validate | {train_clips} / {validation_clips} |
| steps, clips a step | {steps}, {clips_a_step} |
| rank, alpha | {rank}, {alpha} |
| validation loss before | {first} |
| validation loss of this adapter (step {best_step}) | {best} |

```python
from peft import PeftModel
from transformers import CsmForConditionalGeneration

base = CsmForConditionalGeneration.from_pretrained("{base_model}")
model = PeftModel.from_pretrained(base, "this folder")
```

`training.json` has every setting and version, `training.jsonl` a row a step.
"""


def lay_over(model: csm.Csm, settings: Settings) -> csm.Csm:
    """Freeze the base and add LoRA matrices to backbone and depth decoder, never to the codec."""
    torch.manual_seed(settings.seed)
    config = LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=csm.LORA_TARGETS,
        base_model_name_or_path=settings.base_model,
    )
    wrapped = get_peft_model(model.model, config)
    # PEFT fills in the folder that was resolved; the card shall say what was asked for.
    wrapped.peft_config["default"].base_model_name_or_path = settings.base_model
    return dataclasses.replace(model, model=wrapped)


def trainable(model: csm.Csm) -> int:
    """How many numbers train."""
    return sum(w.numel() for w in model.model.parameters() if w.requires_grad)


def base_fingerprint(model: csm.Csm) -> str:
    """Sixteen hexadecimal digits of the base's output layer, rounded as the codec's are."""
    head = csm.base_of(model.model).lm_head.weight.detach()
    rounded = head.to("cpu", torch.bfloat16).contiguous().view(torch.int16)
    return hashlib.sha256(rounded.numpy().tobytes()).hexdigest()[:16]


def write(folder: Path, model: csm.Csm, record: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Fill a folder that ``PeftModel.from_pretrained`` loads, with the run's record and card."""
    model.model.save_pretrained(folder, save_embedding_layers=False)
    with (folder / "training.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    (folder / "README.md").write_text(card(record), "utf-8")


def card(record: dict[str, Any]) -> str:
    """The model card: voice, consent, how it was trained and what that gave."""
    settings, losses = record["settings"], record["val_loss"]
    base = settings["base_model"]

    def shown(loss: float | None) -> str:
        return "not measured: no validation clips" if loss is None else f"{loss:.4f}"

    return CARD.format(
        base_model=base,
        # The Hub knows base models by id only; a folder's name would be refused there.
        base_line="" if Path(base).expanduser().is_dir() else f"base_model: {base}\n",
        voice=record["voice"] or "unnamed",
        consent=record["consent"] or "not stated",
        train_clips=record["clips"]["train"],
        validation_clips=record["clips"]["validation"],
        steps=settings["max_steps"],
        clips_a_step=settings["batch_size"] * settings["gradient_accumulation"],
        rank=settings["lora_r"],
        alpha=settings["lora_alpha"],
        first=shown(losses["first"]),
        best=shown(losses["best"]),
        best_step=record["kept_step"],
    )
