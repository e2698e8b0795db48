"""Demucs and Whisper in fp16, in batches: seconds of sound that a second hears."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import numpy as np

from gpu.bench import Bench
from vc_core import audio

WINDOW = 30.0  # seconds that Whisper hears at once
SOURCES = ["drums", "bass", "other", "vocals"]
RATE = 44_100
EXAMPLE = Path(__file__).parents[2] / "examples" / "interview.opus"
PACKAGED = "package:whisper-base"


def measure(bench: Bench) -> None:
    """Rows of Demucs in both precisions, of Whisper's shape, and of our transcriber."""
    with bench.attempt("demucs"):
        demucs(bench)
    with bench.attempt("whisper large-v3-turbo, transformers"):
        whisper(bench)
    with bench.attempt("our transcriber"):
        transcriber(bench)


def demucs(bench: Bench) -> None:
    """Our separator over random weights of Demucs' shape."""
    import torch
    from demucs.htdemucs import HTDemucs

    from vc_separate import separators

    repo = bench.folder / "demucs"
    repo.mkdir()
    made = HTDemucs(SOURCES, **bench.scale.demucs)
    args, kwargs = made._init_args_kwargs
    state = {"klass": HTDemucs, "args": args, "kwargs": kwargs, "state": made.state_dict()}
    torch.save(state, repo / "random.th")
    seconds = bench.scale.mixture_seconds
    mix = np.random.default_rng(0).standard_normal((round(seconds * RATE), 2)).astype(np.float32)
    mix = 0.1 * mix
    for precision in ("fp32", "auto"):
        separator = separators.load(str(repo), bench.device, precision)
        found = bench.speed(seconds, functools.partial(separator.separate, mix))
        half = "fp16" if bench.cuda and precision == "auto" else "fp32"
        bench.row(
            f"demucs, {half}", **{"s of sound/s": round(found, 2), "peak GB": bench.peak_gb()}
        )
        bench.tidy()


def whisper(bench: Bench) -> None:
    """transformers' Whisper in the shape of large-v3-turbo, so many tokens a window."""
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(**bench.scale.whisper)
    dtype = torch.float16 if bench.cuda else torch.float32
    with torch.device(bench.device):
        model = WhisperForConditionalGeneration(config).to(dtype).eval()
    tokens = bench.scale.whisper_tokens
    for windows in bench.scale.windows:
        features = torch.randn(
            *(windows, config.num_mel_bins, 2 * config.max_source_positions),
            device=bench.device,
            dtype=dtype,
        )

        def hear(features: torch.Tensor = features) -> object:
            with torch.inference_mode():
                return model.generate(features, max_new_tokens=tokens, min_new_tokens=tokens)

        found = bench.speed(WINDOW * windows, hear)
        bench.row(
            "whisper large-v3-turbo, transformers",
            windows=windows,
            **{"s of sound/s": round(found, 2), "peak GB": bench.peak_gb()},
        )


def transcriber(bench: Bench) -> None:
    """Our own transcriber with the packaged weights on the shipped interview, window by window."""
    for package in ("faster_whisper", "ctranslate2"):
        if importlib.util.find_spec(package) is None:
            bench.open("our transcriber", f"the package {package} is not installed here")
            return
    from vc_speech import whisper as ours

    samples, rate = audio.read(EXAMPLE, audio.ENGINE_RATE)
    length = round(WINDOW * rate)
    for windows in bench.scale.windows:
        engine = ours.Transcriber(PACKAGED, bench.device, batch_size=windows)
        pieces = [samples[at * length : (at + 1) * length] for at in range(windows)]
        pieces = [piece for piece in pieces if len(piece) == length]
        hear = functools.partial(engine.hear_all, pieces, "en")
        found = bench.speed(WINDOW * len(pieces), hear)
        bench.row(
            "our transcriber, whisper-base",
            windows=len(pieces),
            **{"s of sound/s": round(found, 2)},
        )
