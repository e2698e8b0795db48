"""What a run leaves: the adapter with its record, its table of checkpoints and its card."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from vc_csm import csm

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

COLUMNS = ("step", "val_loss", "similarity", "wer", "stop_rate", "dnsmos")


def base_fingerprint(model: csm.Csm) -> str:
    """Sixteen hexadecimal digits of the base's output layer, rounded as the codec's are."""
    head = csm.base_of(model.model).lm_head.weight.detach()
    rounded = head.to("cpu", torch.bfloat16).contiguous().view(torch.int16)
    return hashlib.sha256(rounded.numpy().tobytes()).hexdigest()[:16]


def write(
    folder: Path,
    model: csm.Csm,
    record: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    checkpoints: Path,
) -> None:
    """Fill a folder that ``PeftModel.from_pretrained`` loads, with the run's record and card.

    Samples and TensorBoard files come from the folder of ``checkpoints``.
    """
    model.model.save_pretrained(folder, save_embedding_layers=False)
    with (folder / "training.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    (folder / "README.md").write_text(card(record, rows), "utf-8")
    lines = ["\t".join((*COLUMNS, "kept")), *map("\t".join, _table(rows, record["kept_step"]))]
    (folder / "checkpoints.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    for name in ("samples", "tensorboard"):
        if (checkpoints / name).is_dir():
            shutil.copytree(checkpoints / name, folder / name)


def card(record: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
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
        steps=record["steps"],
        clips_a_step=settings["batch_size"] * settings["gradient_accumulation"],
        rank=settings["lora_r"],
        alpha=settings["lora_alpha"],
        first=shown(losses["first"]),
        kept=shown(losses["kept"]),
        kept_step=record["kept_step"],
        table=_markdown(_table(rows, record["kept_step"])),
    )


def _table(rows: Sequence[dict[str, Any]], kept_step: int) -> list[list[str]]:
    """A line of cells for every validated step; the last cell marks the one that was kept."""
    return [
        [*(_cell(row.get(name)) for name in COLUMNS), "yes" if row["step"] == kept_step else ""]
        for row in rows
        if "val_loss" in row
    ]


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    """The table of checkpoints, as a card shows it."""
    if not lines:
        return "No validation clips: the last step was kept."
    head = [("step", "validation loss", "similarity", "WER", "ends by itself", "DNSMOS", "kept")]
    shown = [*head, ["---"] * len(head[0]), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in shown)


def _cell(value: float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)
