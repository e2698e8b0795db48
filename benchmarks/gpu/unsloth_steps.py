"""Training CSM by Unsloth, twenty steps of it, beside PEFT's figures of the section training."""

from __future__ import annotations

import importlib.util

import flops

from gpu import training
from gpu.bench import Bench

STEPS = 20


def measure(bench: Bench) -> None:
    """A row, or why there is none."""
    for package in ("unsloth", "bitsandbytes"):
        if importlib.util.find_spec(package) is None:
            bench.open("unsloth", f"the package {package} is not installed here")
            return
    if not bench.cuda:
        bench.open("unsloth", "it loads CSM on a GPU only")
        return
    import unsloth  # noqa: F401 - it wants to be the first

    rate = flops.matrix_rate(bench.device, bench.scale.matrix)
    coded = training.prepare(bench)
    with bench.attempt("unsloth"):
        more = ("--backend", "unsloth", "--max-steps", str(STEPS))
        training.run(bench, "unsloth", coded, 1.0, rate, *more)
