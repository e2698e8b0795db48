"""Where the time of a training step and of a spoken frame goes, kernel by kernel."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import synthesize

from gpu import training
from gpu.bench import Bench
from vc_csm import codes, csm, objective
from vc_csm.training import backends

KERNELS = 14  # rows of each
RANK = 32


def measure(bench: Bench) -> None:
    """Rows of the kernels that take most time, in ms of a step or of a frame."""
    with bench.attempt("training"):
        step(bench)
    with bench.attempt("speech"):
        frames(bench)


def step(bench: Bench) -> None:
    """Forward and backward of one batch, as the loop does them."""
    import torch
    from peft.helpers import disable_input_dtype_casting

    coded = training.prepare(bench)
    clips, _ = codes.read(coded)
    dtype = "bfloat16" if bench.cuda else "float32"
    base = backends.load(str(bench.model()), "peft", bench.device, dtype, "none")
    model = backends.lay_over(
        base,
        "peft",
        r=RANK,
        alpha=RANK,
        dropout=0.0,
        targets=csm.LORA_TARGETS,
        seed=0,
        gradient_checkpointing=False,
        base_name="",
    )
    model.model.train()
    batch = objective.make_batch(model, clips[: bench.scale.clips_a_step])

    def work() -> None:
        with (
            disable_input_dtype_casting(model.model),
            torch.autocast(bench.device, torch.bfloat16, enabled=bench.cuda),
        ):
            backbone, depth = objective.mean_losses(model, batch)
        torch.autograd.backward(backbone + depth)

    profile(bench, "training step", work, 1)


def frames(bench: Bench) -> None:
    """One text's frames."""
    dtype = "bfloat16" if bench.cuda else "float32"
    model = csm.load(str(bench.model()), bench.device, dtype)
    model.model.config.codebook_eos_token_id = -1
    count = bench.scale.plain_frames
    run = synthesize.ours(model, synthesize.prompts(model, 1, count))
    profile(bench, "spoken frame", run, count)


def profile(bench: Bench, name: str, work: Callable[[], object], times: int) -> None:
    """Profile one call after two others; ``times`` divides what is told."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    for _ in range(2):
        work()
    bench.wait()
    kinds = [ProfilerActivity.CUDA] if bench.cuda else [ProfilerActivity.CPU]
    with profiler(activities=kinds) as seen:
        work()
        bench.wait()
    found = sorted(seen.key_averages(), key=lambda event: -_time(bench, event))
    whole = sum(_time(bench, event) for event in found) / 1000 / times
    bench.row(f"{name}, all", **{"ms": round(whole, 3)})
    for event in itertools.islice(found, KERNELS):
        took = _time(bench, event) / 1000 / times
        bench.row(f"{name}: {event.key[:90]}", **{"ms": round(took, 3), "calls": event.count})


def _time(bench: Bench, event: Any) -> float:
    """Microseconds that an event took by itself."""
    return float(event.self_device_time_total if bench.cuda else event.self_cpu_time_total)
