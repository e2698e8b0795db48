"""What a run leaves: the adapter with its record, its table of checkpoints and its card."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from vc_csm import csm
from vc_speech.training.record import shown, table, write_record
from vc_speech.training.rows import Row

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
| validation loss of this adapter (step {kept_step}) | {kept} |

```python
from peft import PeftModel
from transformers import CsmForConditionalGeneration

base = CsmForConditionalGeneration.from_pretrained("{base_model}")
model = PeftModel.from_pretrained(base, "this folder")
```

{table}

`training.json` has every setting and version, and whose tokenizer and codec these are;
`training.jsonl` has a row a step.
"""


def base_fingerprint(model: csm.Csm) -> str:
    """Sixteen hexadecimal digits of the base's output layer, rounded as the codec's are."""
    head = csm.base_of(model.model).lm_head.weight.detach()
    rounded = head.to("cpu", torch.bfloat16).contiguous().view(torch.int16)
    return hashlib.sha256(rounded.numpy().tobytes()).hexdigest()[:16]


def write(
    folder: Path,
    model: csm.Csm,
    record: dict[str, Any],
    rows: Sequence[Row],
    checkpoints: Path,
) -> None:
    """Fill a folder that ``PeftModel.from_pretrained`` loads, with the run's record and card.

    Samples and TensorBoard files come from the folder of ``checkpoints``.
    """
    model.model.save_pretrained(folder, save_embedding_layers=False)
    write_record(folder, record, rows, checkpoints)
    (folder / "README.md").write_text(card(record, rows), "utf-8")


def card(record: dict[str, Any], rows: Sequence[Row]) -> str:
    """The model card: voice, consent, how it was trained and what that gave."""
    settings, losses = record["settings"], record["val_loss"]
    base = settings["base_model"]

    return CARD.format(
        base_model=base,
        # The Hub knows base models by id only; a folder's name would be refused there.
        base_line="" if Path(base).expanduser().is_dir() else f"base_model: {base}\n",
        voice=record["voice"] or "unnamed",
        consent=record["consent"] or "not stated",
        train_clips=record["clips"]["train"],
        validation_clips=record["clips"]["validation"],
        steps=record["steps"],
        clips_a_step=settings["batch_size"] * settings["gradient_accumulation"],
        rank=settings["lora_r"],
        alpha=settings["lora_alpha"],
        first=shown(losses["first"]),
        kept=shown(losses["kept"]),
        kept_step=record["kept_step"],
        table=table(rows, record["kept_step"]),
    )
