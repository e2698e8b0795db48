"""What every section is given: where to measure, how large, and where its figures go."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flops


@dataclass(frozen=True)
class Scale:
    """How large everything is: as in use, or a toy that shows on a CPU that all of it runs."""

    size: str  # of the CSM, one of csm_sizes.SIZES
    matrix: int  # rows and columns of the matrices that measure the device
    copied: int  # bytes that measure its memory
    clip_seconds: tuple[float, float]  # shortest and longest clip
    clips_a_step: int
    steps: int
    recipe_steps: int  # of far fewer clips each
    frames: int  # spoken by a text on our side
    plain_frames: int  # and on theirs, which is slower by far
    speakers: tuple[int, ...]  # texts that are spoken at once
    rounds: int  # calls of which the middle one counts
    demucs: dict[str, Any]  # keywords of HTDemucs
    mixture_seconds: float
    whisper: dict[str, int]  # keywords of WhisperConfig
    whisper_tokens: int
    windows: tuple[int, ...]  # of 30 s that Whisper hears at once


def whisper_shape(width: int, inner: int, heads: int, encoder: int, decoder: int) -> dict[str, int]:
    """Keywords of WhisperConfig; vocabulary and mel bands are those of large-v3."""
    return {
        "vocab_size": 51866,
        "num_mel_bins": 128,
        "d_model": width,
        "encoder_layers": encoder,
        "encoder_attention_heads": heads,
        "encoder_ffn_dim": inner,
        "decoder_layers": decoder,
        "decoder_attention_heads": heads,
        "decoder_ffn_dim": inner,
    }


SCALES = {
    "real": Scale(
        size="1b",
        matrix=8192,
        copied=2**30,
        clip_seconds=(3.0, 10.0),
        clips_a_step=32,
        steps=30,
        recipe_steps=12,
        frames=125,
        plain_frames=10,
        speakers=(1, 32),
        rounds=3,
        demucs={},
        mixture_seconds=120.0,
        # openai/whisper-large-v3-turbo
        whisper=whisper_shape(1280, inner=5120, heads=20, encoder=32, decoder=4),
        whisper_tokens=100,
        windows=(1, 16),
    ),
    "toy": Scale(
        size="micro",
        matrix=256,
        copied=2**22,
        clip_seconds=(0.5, 1.0),
        clips_a_step=4,
        steps=3,
        recipe_steps=3,
        frames=6,
        plain_frames=3,
        speakers=(1, 2),
        rounds=1,
        demucs={"channels": 8, "t_layers": 1, "t_heads": 2, "segment": 1},
        mixture_seconds=1.0,
        whisper=whisper_shape(16, inner=16, heads=2, encoder=1, decoder=1),
        whisper_tokens=5,
        windows=(1, 2),
    ),
}


@dataclass(frozen=True)
class Bench:
    """A section's surroundings.

    ``folder`` is shared by the sections of a run and goes away with it; ``rows`` is the file of
    JSON lines that holds what was measured so far.
    """

    scale: Scale
    device: str
    folder: Path
    rows: Path

    @property
    def cuda(self) -> bool:
        """Whether it is measured on a GPU."""
        return self.device.startswith("cuda")

    def row(self, name: str, **figures: Any) -> None:
        """Keep a row of figures, at once: what follows may be cut off."""
        with self.rows.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"name": name, **figures}) + "\n")
        print(name, figures, flush=True)

    def open(self, name: str, reason: str) -> None:
        """Keep a row without figures, and why there are none."""
        self.row(name, open=" ".join(reason.split())[:300])

    @contextlib.contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """What fails in this block leaves an open row, and the section goes on.

        Whatever the block held of the GPU's memory is free afterwards.
        """
        try:
            yield
        except (Exception, SystemExit) as error:
            traceback.print_exc()
            traceback.clear_frames(error.__traceback__)  # which would hold the block's tensors
            self.open(name, f"{type(error).__name__}: {error}")
        finally:
            self.tidy()

    def tidy(self) -> None:
        """Give back the memory that nothing holds any more, and count its peak anew."""
        gc.collect()
        if self.cuda:
            import torch

            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def speed(self, seconds: float, work: Callable[[], object]) -> float:
        """Seconds of sound a second: the middle of some calls, after one that does not count."""
        work()
        flops.wait(self.device)
        took = []
        for _ in range(self.scale.rounds):
            started = time.perf_counter()
            work()
            flops.wait(self.device)
            took.append(time.perf_counter() - started)
        return seconds / statistics.median(took)

    def peak_gb(self) -> float | None:
        """The most of the GPU's memory that tensors took since ``tidy``; None on a CPU."""
        if not self.cuda:
            return None
        import torch

        return round(torch.cuda.max_memory_allocated() / 1e9, 2)

    def model(self) -> Path:
        """The folder of the CSM that is measured: random weights, made once a run."""
        import csm_sizes

        place = self.folder / "csm"
        if not place.exists():
            place.symlink_to(csm_sizes.prepare(self.scale.size, self.folder, self.device))
        return place


class Heard(logging.Handler):
    """Counts the log's lines that hold some words."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words, self.count = words, 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count it, if it is one of them."""
        self.count += self.words in record.getMessage()
