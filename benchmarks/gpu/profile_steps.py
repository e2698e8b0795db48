"""Where the time of a training step and of a spoken frame goes, kernel by kernel."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable
from typing import Any

import flops
import synthesize

from gpu import training
from gpu.bench import Bench
from vc_csm import codes, csm, objective
from vc_csm.training import backends, fused

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
    size = bench.scale.clips_a_step
    batches = [objective.make_batch(model, clips[at : at + size]) for at in (0, len(clips) - size)]
    forward = functools.partial(_forward, bench, model)
    for name in ("PEFT's layers", "ours", "ours, compiled"):
        if name == "ours, compiled" and not bench.cuda:
            break
        if name != "PEFT's layers":
            fused.replace(model, compiled=name != "ours")
        for index in (0, 0, 0, 1, 0, 1):
            phases(bench, f"{name}, batch {index}", forward, batches[index], model, clips[:size])
        profile(bench, f"training step, {name}", lambda: forward(batches[0]).backward(), 1)


def phases(
    bench: Bench, name: str, forward: Any, batch: objective.Batch, model: csm.Csm, clips: Any
) -> None:
    """A row of what the CPU needs for each part of a step, and of the step with the GPU's part."""
    flops.wait(bench.device)
    marks = [time.perf_counter()]
    objective.make_batch(model, clips)
    marks.append(time.perf_counter())
    loss = forward(batch)
    marks.append(time.perf_counter())
    loss.backward()
    marks.append(time.perf_counter())
    flops.wait(bench.device)
    marks.append(time.perf_counter())
    names = ("batch", "forward", "backward", "waiting")
    spans = {
        f"{part} ms": round(1000 * (after - before), 1)
        for part, (before, after) in zip(names, itertools.pairwise(marks), strict=True)
    }
    bench.row(f"phases, {name}", **spans, **{"frames": len(batch.codes)})


def _forward(bench: Bench, model: csm.Csm, batch: objective.Batch) -> Any:
    import torch
    from peft.helpers import disable_input_dtype_casting

    with (
        disable_input_dtype_casting(model.model),
        torch.autocast(bench.device, torch.bfloat16, enabled=bench.cuda),
    ):
        backbone, depth = objective.mean_losses(model, batch)
    return backbone + depth


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
    flops.wait(bench.device)
    kinds = [ProfilerActivity.CUDA] if bench.cuda else [ProfilerActivity.CPU]
    with profiler(activities=kinds) as seen:
        started = time.perf_counter()
        work()
        flops.wait(bench.device)
        took = time.perf_counter() - started
    found = sorted(seen.key_averages(), key=lambda event: -_time(bench, event))
    busy = sum(_time(bench, event) for event in found) / 1000 / times
    calls = sum(event.count for event in found)
    bench.row(f"{name}, all", **{"ms": round(busy, 3), "calls": calls})
    bench.row(f"{name}, by the clock", **{"ms": round(1000 * took / times, 3)})
    for event in itertools.islice(found, KERNELS):
        took = _time(bench, event) / 1000 / times
        bench.row(f"{name}: {event.key[:90]}", **{"ms": round(took, 3), "calls": event.count})


def _time(bench: Bench, event: Any) -> float:
    """Microseconds that an event took by itself."""
    return float(event.self_device_time_total if bench.cuda else event.self_cpu_time_total)
