"""Presets, each within the memory of the card that it is named for.

The allocator is held to what such a card leaves it. Clips are of the greatest length, so that a
batch is as large as it can be. Where it does not fit, training halves it, and that is told.
"""

from __future__ import annotations

from pathlib import Path

from gpu import training
from gpu.bench import Bench, Heard
from vc_csm.training import loop
from vc_csm.training.presets import PRESETS

STEPS = 3


def measure(bench: Bench) -> None:
    """A row for every preset: the most memory it took, and how often its batch was halved."""
    longest = bench.scale.clip_seconds[1]
    coded = training.prepare(bench, (longest, longest))
    if not bench.cuda:
        bench.open("memory caps", "a CPU has none; the presets only run")
    for preset in reversed(PRESETS):
        with bench.attempt(preset.name):
            under_cap(bench, preset.name, preset.memory_gb, coded)


def under_cap(bench: Bench, name: str, memory_gb: float, coded: Path) -> None:
    """Train a few steps with so many GiB."""
    import torch

    if bench.cuda:
        free, total = torch.cuda.mem_get_info()
        # What CUDA itself takes would be missing on the smaller card, too.
        taken = total - free - torch.cuda.memory_reserved()
        cap = min(1.0, (memory_gb * 2**30 - taken) / total)
        torch.cuda.set_per_process_memory_fraction(cap)
    halved = Heard("out of memory")
    loop.logger.addHandler(halved)
    output = bench.folder / "trained"
    try:
        training.train(bench, coded, output, "--preset", name, "--max-steps", str(STEPS))
    finally:
        loop.logger.removeHandler(halved)
        if bench.cuda:
            torch.cuda.set_per_process_memory_fraction(1.0)
    speed = training.frames_a_second(training.read_rows(output / "training.jsonl"))
    reserved = round(torch.cuda.max_memory_reserved() / 1e9, 2) if bench.cuda else None
    figures = {
        "depth": training.USUAL_DEPTH,
        "frames/s": round(speed, 1),
        "peak GB": bench.peak_gb(),
        "reserved GB": reserved,
    }
    bench.row(name, **{"card GiB": memory_gb, **figures, "halved": halved.count})
