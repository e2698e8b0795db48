"""CSM's speech: our decoding, and ``generate`` as it comes and with all that makes it fast.

``generate`` is at its fastest with caches of a fixed size, for both of CSM's transformers: then
transformers compiles their forward passes and replays them as CUDA graphs.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import synthesize

from gpu import table
from gpu.bench import Bench
from vc_csm import csm, mimi


def measure(bench: Bench) -> None:
    """A row for every way to speak, at every number of texts."""
    import torch

    dtype = "bfloat16" if bench.cuda else "float32"
    model = csm.load(str(bench.model()), bench.device, dtype)
    model.model.config.codebook_eos_token_id = -1  # no text ends by itself
    floor = synthesize.bytes_a_frame(model.model) / synthesize.copy_rate(
        bench.device, bench.scale.copied
    )
    bench.row("floor: weights read once a frame", texts=1, **{"ms a frame": 1000 * floor})
    for texts in bench.scale.speakers:
        with bench.attempt(f"{table.SPEECH}, {texts} texts"):
            ours(bench, model, texts)
    with bench.attempt("codec"):
        codec(bench, model)
    for texts in bench.scale.speakers:
        with bench.attempt(f"{table.EAGER}, {texts} texts"):
            theirs(bench, model, texts, table.EAGER)
    for texts in bench.scale.speakers:
        torch._dynamo.reset()
        with bench.attempt(f"{table.STATIC}, {texts} texts"):
            static = {"cache_implementation": "static"}
            static |= {"depth_decoder_cache_implementation": "static"}
            theirs(bench, model, texts, table.STATIC, **static)


def ours(bench: Bench, model: csm.Csm, texts: int) -> None:
    """Our decoding; its first call captures the graphs, which is told apart."""
    asked = synthesize.prompts(model, texts, bench.scale.frames)
    started = time.perf_counter()
    run = synthesize.ours(model, asked)
    run()
    first = time.perf_counter() - started
    speed = median_rate(bench, run)
    keep(bench, model, table.SPEECH, texts, speed, first)


def theirs(bench: Bench, model: csm.Csm, texts: int, name: str, **how: Any) -> None:
    """``generate``; its first call compiles, where it does."""
    asked = synthesize.prompts(model, texts, bench.scale.plain_frames)
    run = synthesize.plain(model, asked, **how)
    started = time.perf_counter()
    run()
    first = time.perf_counter() - started
    run()
    keep(bench, model, name, texts, median_rate(bench, run), first)


def median_rate(bench: Bench, run: Callable[[], int]) -> float:
    """Frames a second of the middle of some calls."""
    return statistics.median(synthesize.frames_a_second(run) for _ in range(bench.scale.rounds))


def keep(bench: Bench, model: csm.Csm, name: str, texts: int, speed: float, first: float) -> None:
    """A row: all texts' frames a second, and seconds of work for a second of one text's sound."""
    figures: dict[str, Any] = {"texts": texts, "frames/s": round(speed, 2)}
    figures |= {
        "ms a frame": 1000 * texts / speed,
        "real-time factor": round(texts * model.frame_rate / speed, 4),
        "first call, s": round(first, 1),
        "peak GB": bench.peak_gb(),
    }
    bench.row(name, **figures)


def codec(bench: Bench, model: csm.Csm) -> None:
    """Codes to sound, which none of the rates above holds."""
    config = model.model.codec_model.config
    shape = (bench.scale.frames, config.num_quantizers)
    codes = np.random.default_rng(0).integers(0, config.codebook_size, shape).astype(np.int16)
    seconds = len(codes) / model.frame_rate
    speed = bench.speed(seconds, functools.partial(mimi.decode, model.model.codec_model, codes))
    bench.row("codes to sound", texts=1, **{"real-time factor": round(1 / speed, 5)})
