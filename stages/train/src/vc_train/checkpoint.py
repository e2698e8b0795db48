"""Where a stopped run goes on: adapter, optimizer, rows and step, whole or not there."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vc_common import files, log

if TYPE_CHECKING:
    import torch

logger = log.get("train")


@dataclasses.dataclass
class Progress:
    """How far a run has come: steps done, its logged rows, its best adapter so far.

    ``seconds`` counts those of earlier sittings too. ``best`` is an adapter's state.
    """

    step: int = 0
    seconds: float = 0.0
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    best_step: int | None = None
    best: dict[str, torch.Tensor] = dataclasses.field(default_factory=dict)


def save(folder: Path, progress: Progress, adapter: dict[str, Any], optimizer: Any) -> Path:
    """Write ``folder/step-000100``, then remove the older ones."""
    import torch
    from safetensors.torch import save_file

    place = folder / f"step-{progress.step:06d}"
    with files.atomic_folder(place) as partial:
        save_file(adapter, partial / "adapter.safetensors")
        if progress.best:
            save_file(progress.best, partial / "best.safetensors")
        torch.save(optimizer.state_dict(), partial / "optimizer.pt")
        said = {
            "step": progress.step,
            "seconds": progress.seconds,
            "best_step": progress.best_step,
            "rows": progress.rows,
        }
        (partial / "progress.json").write_text(json.dumps(said), "utf-8")
    for older in folder.glob("step-*"):
        if older != place:
            shutil.rmtree(older)
    return place


def newest(folder: Path) -> Path | None:
    """The checkpoint that went furthest, or None."""
    return max(folder.glob("step-*"), default=None, key=lambda place: place.name)


def restore(place: Path, optimizer: Any, device: str) -> tuple[Progress, dict[str, Any]]:
    """Read a checkpoint: returns the progress and the adapter's state, fills the optimizer."""
    import torch
    from safetensors.torch import load_file

    said = files.read_json(place / "progress.json")
    best = place / "best.safetensors"
    progress = Progress(**said, best=load_file(best) if best.is_file() else {})
    state = torch.load(place / "optimizer.pt", map_location=device, weights_only=True)
    optimizer.load_state_dict(state)
    return progress, load_file(place / "adapter.safetensors")


def discard(folder: Path) -> None:
    """Remove a finished run's checkpoints, and their parent if no other run's are in it."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.is_dir() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()
