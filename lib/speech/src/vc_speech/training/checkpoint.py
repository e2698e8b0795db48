"""Where a stopped run goes on, and the adapters among which its best is chosen."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from vc_core import files, log
from vc_speech.training.rows import Row

logger = log.get("train")

Tensors = dict[str, torch.Tensor]

# torch and safetensors have names of their own for what the system refused.
UNWRITABLE = (OSError, RuntimeError, SafetensorError)


@dataclasses.dataclass
class Progress:
    """How far a run has come: steps done, its logged rows.

    ``seconds`` counts those of earlier sittings too. A family with more to remember adds fields
    that have defaults, which JSON can hold.
    """

    step: int = 0
    seconds: float = 0.0
    rows: list[Row] = dataclasses.field(default_factory=list)

    @property
    def validations(self) -> list[Row]:
        """The rows with a validation loss."""
        return [row for row in self.rows if "val_loss" in row]


P = TypeVar("P", bound=Progress)


def save(folder: Path, progress: Progress, adapter: Tensors, states: Any) -> Path | None:
    """Write ``folder/step-000100``, then remove the older ones.

    ``adapter`` is what is learnt, tensors by name; ``states`` are the state dicts of optimizer and
    scaler. A full disk costs this checkpoint, not the run: None, and the one before stays.
    """
    place = folder / f"step-{progress.step:06d}"
    try:
        with files.atomic_folder(place) as partial:
            save_file(adapter, partial / "adapter.safetensors")
            torch.save(states, partial / "states.pt")
            said = json.dumps(dataclasses.asdict(progress))
            (partial / "progress.json").write_text(said, "utf-8")
    except UNWRITABLE as error:
        logger.warning("step %d: no checkpoint could be written (%s)", progress.step, error)
        return None
    for older in folder.glob("step-*"):
        if older != place:
            shutil.rmtree(older)
    return place


def newest(folder: Path) -> Path | None:
    """The checkpoint that went furthest, or None."""
    return max(folder.glob("step-*"), default=None, key=lambda place: place.name)


def restore(place: Path, device: str, kind: type[P]) -> tuple[P, Tensors, Any]:
    """Read a checkpoint: the progress, the adapter's state, and the states it was saved with.

    ``kind`` is the class of the progress; the states come to ``device``, the adapter to the CPU.
    """
    progress = kind(**files.read_json(place / "progress.json"))
    states = torch.load(place / "states.pt", map_location=device, weights_only=True)
    return progress, load_file(place / "adapter.safetensors"), states


def keep(folder: Path, step: int, adapter: Tensors, steps: Collection[int]) -> None:
    """Store a step's adapter as one that may be chosen; of the others keep ``steps`` alone."""
    if step in steps:
        place = _candidate(folder, step)
        try:
            with files.atomic(place) as partial:
                save_file(adapter, partial)
        except UNWRITABLE as error:
            logger.warning("step %d: its adapter could not be stored (%s)", step, error)
    for place in (folder / "candidates").glob("step-*.safetensors"):
        if int(place.stem.removeprefix("step-")) not in steps:
            place.unlink()


def stored(folder: Path, step: int) -> Tensors | None:
    """The adapter stored for a step, or None."""
    place = _candidate(folder, step)
    return load_file(place) if place.is_file() else None


def discard(folder: Path) -> None:
    """Remove a finished run's checkpoints, and their parent if no other run's are in it."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def _candidate(folder: Path, step: int) -> Path:
    return folder / "candidates" / f"step-{step:06d}.safetensors"
