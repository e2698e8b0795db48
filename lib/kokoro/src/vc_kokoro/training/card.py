"""What a run leaves: the adapter with its record, its table of checkpoints and its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vc_kokoro import adapter
from vc_kokoro.training.fitted import Fitted
from vc_speech.training.record import shown, table, write_record
from vc_speech.training.rows import Row

CARD = """\
---
{base_line}library_name: peft
license: apache-2.0
tags: [voice-cloning, kokoro, text-to-speech, lora]
---

# {voice}

Kokoro `{base_model}` fitted to the voice "{voice}" by the Voice Cloning Pipeline.

**Consent:** {consent}

Use this voice only within that consent. Speech made with it must be labelled as synthetic.

| | |
|---|---|
| clips to train / to validate | {train_clips} ({seconds:.0f} s) / {validation_clips} |
| steps, pieces of {crop:g} s a step | {steps}, {pieces} |
| began with | {mixture} |
| validation loss before | {first} |
| validation loss of this voice (step {kept_step}) | {kept} |
| of the learnt prosody | {share:.0%} |

```sh
vc-synthesize "Good morning." --base-model {base_model} --adapter FOLDER -o speech
```

`voice.safetensors` is a voice pack of the stock voices' shape, [510, 1, 256]: other programs for
Kokoro can speak in it, less like the speaker, because the LoRA matrices
(`adapter_model.safetensors`) and biases (`biases.safetensors`) are not in it.

{table}

`training.json` has every setting and version; `training.jsonl` has a row a step.
"""


def write(
    folder: Path,
    fitted: Fitted,
    record: dict[str, Any],
    rows: Sequence[Row],
    checkpoints: Path,
) -> None:
    """Fill the adapter's folder; samples come from the folder of ``checkpoints``."""
    adapter.write_weights(folder, fitted.model, fitted.voice(), fitted.biases)
    write_record(folder, record, rows, checkpoints)
    (folder / "README.md").write_text(card(record, rows), "utf-8")


def card(record: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The model card: voice, consent, how it was fitted and what that gave."""
    settings, losses, base = record["settings"], record["val_loss"], record["base_model"]
    on_hub = "/" in base and not Path(base).expanduser().is_dir()
    parts = sorted(record["mixture"].items(), key=lambda item: -item[1])
    return CARD.format(
        base_model=base,
        base_line=f"base_model: {base}\n" if on_hub else "",
        voice=record["voice"] or "unnamed",
        consent=record["consent"] or "not stated",
        train_clips=record["clips"]["train"],
        validation_clips=record["clips"]["validation"],
        seconds=record["seconds_of_clips"],
        crop=settings["crop_seconds"],
        steps=record["steps"],
        pieces=settings["batch_size"] * settings["gradient_accumulation"],
        mixture=", ".join(f"{part:.0%} {name}" for name, part in parts),
        first=shown(losses["first"]),
        kept=shown(losses["kept"]),
        kept_step=record["kept_step"],
        share=record["prosody"]["share"],
        table=table(rows, record["kept_step"]),
    )
