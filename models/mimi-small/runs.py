"""One training run in several calls: a clock, a learning rate over the whole run, checkpoints.

A run's folder holds ``checkpoint.pt``, from which the next call on the same machine goes on to
the bit, and ``carry/``, the same in a sixth: small enough, and in small enough files, to be taken
to another machine. There the weights come back rounded to bfloat16, and the optimizers begin with
no momentum and with one step size a row, which they mend within some steps.
"""

import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vc_common import files

PART = 15 * 2**20  # bytes of a carried file
FEW = 1000  # numbers; smaller tensors are carried as they are
LAST_RATE = 0.05  # of the peak, at the end of the run


class Clock:
    """Says when a call's minutes are over, and when a checkpoint is due."""

    def __init__(self, minutes: float, save_every: float = 2.5) -> None:
        self._end = time.monotonic() + 60 * minutes
        self._every = 60 * save_every
        self._save_at = time.monotonic() + self._every

    def over(self) -> bool:
        return time.monotonic() >= self._end

    def save_due(self) -> bool:
        """True once in every ``save_every`` minutes."""
        if time.monotonic() < self._save_at:
            return False
        self._save_at = time.monotonic() + self._every
        return True


def rate_at(step: int, steps: int, warm_up: int) -> float:
    """The share of the peak learning rate: up in a line, down along a cosine.

    Short runs warm up in a twentieth of their steps.
    """
    warm_up = min(warm_up, max(1, steps // 20))
    if step < warm_up:
        return (step + 1) / warm_up
    done = min(1.0, (step - warm_up) / max(1, steps - warm_up))
    return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def seeded(seed: int, step: int) -> torch.Generator:
    """All chance of one step: a resumed run draws what the unbroken one would have drawn."""
    return torch.Generator().manual_seed(seed * 1_000_003 + step)


def save(state: dict[str, Any], folder: Path) -> None:
    """Write the checkpoint of a run's folder, whole or not at all."""
    with files.atomic(folder / "checkpoint.pt") as partial:
        torch.save(state, partial)


def save_to_carry(state: dict[str, Any], folder: Path) -> int:
    """Write ``carry/`` anew; returns its bytes."""
    buffer = io.BytesIO()
    torch.save(_lean(state), buffer)
    stored = buffer.getvalue()
    carry = folder / "carry"
    carry.mkdir(parents=True, exist_ok=True)
    for old in carry.glob("*.part"):
        old.unlink()
    for index, start in enumerate(range(0, len(stored), PART)):
        (carry / f"{index:02}.part").write_bytes(stored[start : start + PART])
    return len(stored)


def load(folder: Path) -> dict[str, Any] | None:
    """The checkpoint of a run's folder, or what was carried there, or None for a new run."""
    whole, parts = folder / "checkpoint.pt", sorted((folder / "carry").glob("*.part"))
    if whole.is_file():
        return dict(torch.load(whole, map_location="cpu", weights_only=True))
    if parts:
        joined = io.BytesIO(b"".join(part.read_bytes() for part in parts))
        carried = torch.load(joined, map_location="cpu", weights_only=True)
        return dict(_each_tensor(carried, _full))
    return None


def _lean(state: Any, key: object = None) -> Any:
    """Big tensors in bfloat16; of the optimizers' averages only what a row has in common.

    What is expanded is stored once.
    """
    if isinstance(state, dict):
        return {name: _lean(part, name) for name, part in state.items()}
    if isinstance(state, list | tuple):
        return [_lean(part, key) for part in state]
    if not isinstance(state, Tensor) or not state.is_floating_point() or state.numel() < FEW:
        return state
    if key == "exp_avg":
        return torch.zeros((), dtype=torch.bfloat16).expand(state.shape)
    rounded = state.detach().to("cpu", torch.bfloat16)
    if key == "exp_avg_sq" and state.ndim > 1:
        return rounded.mean(tuple(range(1, state.ndim)), keepdim=True).expand(state.shape)
    return rounded.clone()


def _full(tensor: Tensor) -> Tensor:
    """What ``_lean`` made small, as float32 with a place for every number."""
    return tensor.float().contiguous() if tensor.dtype == torch.bfloat16 else tensor


def _each_tensor(state: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(state, dict):
        return {name: _each_tensor(part, change) for name, part in state.items()}
    if isinstance(state, list):
        return [_each_tensor(part, change) for part in state]
    return change(state) if isinstance(state, Tensor) else state
