"""What a run leaves beside its weights: record, rows, table of checkpoints, samples."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vc_speech.training.rows import Row

COLUMNS = ("step", "val_loss", "similarity", "wer", "stop_rate", "dnsmos")


def write_record(
    folder: Path, record: Mapping[str, Any], rows: Sequence[Row], checkpoints: Path
) -> None:
    """Write training.json, training.jsonl and checkpoints.tsv into a folder.

    The record has the ``kept_step``. Samples and TensorBoard files come from the folder of
    ``checkpoints``, where there are any.
    """
    with (folder / "training.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
    lines = ["\t".join((*COLUMNS, "kept")), *map("\t".join, _lines(rows, record["kept_step"]))]
    (folder / "checkpoints.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    for name in ("samples", "tensorboard"):
        if (checkpoints / name).is_dir():
            shutil.copytree(checkpoints / name, folder / name)


def table(rows: Sequence[Row], kept_step: int) -> str:
    """The table of checkpoints in Markdown, as a card shows it."""
    lines = _lines(rows, kept_step)
    if not lines:
        return "No validation clips: the last step was kept."
    head = [("step", "validation loss", "similarity", "WER", "ends by itself", "DNSMOS", "kept")]
    shown = [*head, ["---"] * len(head[0]), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in shown)


def losses(validations: Sequence[Row], kept: Row | None) -> dict[str, float | None]:
    """The validation losses that sum a run up; None for what was not measured."""
    found = [row["val_loss"] for row in validations]
    return {
        "first": found[0] if found else None,
        "best": min(found, default=None),
        "kept": kept["val_loss"] if kept else None,
        "last": found[-1] if found else None,
    }


def shown(loss: float | None) -> str:
    """A validation loss as a card shows it; None where nothing was validated."""
    return "not measured: no validation clips" if loss is None else f"{loss:.4f}"


def _lines(rows: Sequence[Row], kept_step: int) -> list[list[str]]:
    """A line of cells for every validated step; the last cell marks the one that was kept."""
    return [
        [*(_cell(row.get(name)) for name in COLUMNS), "yes" if row["step"] == kept_step else ""]
        for row in rows
        if "val_loss" in row
    ]


def _cell(value: float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)
