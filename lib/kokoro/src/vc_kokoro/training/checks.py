"""Seconds of tests before the first step, and how long the run will take."""

from __future__ import annotations

import math
import time

import torch

from vc_core import log, records
from vc_core.errors import StageError
from vc_kokoro.training import crops, loop
from vc_kokoro.training.loop import Run
from vc_speech.training.resources import span

logger = log.get("train")

FORWARD = 0.4  # of a step's time, for a piece that is only listened to


def run(made: Run) -> None:
    """One piece forth and back: its loss is a number, its gradient reaches all that learns.

    Says how long the run will take. Learns nothing; raises StageError where a test fails.
    """
    settings, fitted = made.settings, made.fitted
    piece = crops.crop(made.train[0], settings.crop_seconds, 0.5)
    noise = torch.Generator(fitted.device).manual_seed(0)
    started = time.perf_counter()
    spectral, speaker = loop.distances(made, piece, noise)
    loss = spectral + settings.speaker_weight * speaker
    torch.autograd.backward(loss)
    value = float(loss.detach())
    seconds = time.perf_counter() - started
    groups = fitted.sound_parameters()
    reached = [
        any(weight.grad is not None and bool(weight.grad.any()) for weight in group["params"])
        for group in groups
    ]
    made.optimizer.zero_grad()
    fitted.model.zero_grad()
    fitted.offset.grad = None
    if not math.isfinite(value) or not all(reached):
        raise StageError(
            f"self-test: the loss of a clip is {value:.3f}, and "
            f"{sum(reached)} of {len(reached)} groups of weights learn; the base model is damaged"
        )
    pieces = math.ceil(settings.crops_a_step / made.group.size)
    validations = 1 + settings.max_steps // settings.eval_every
    listened = loop.VALIDATED * validations * FORWARD
    logger.info(
        "self-test passed; about %s for %d steps, without spoken samples; %.1f GB of memory",
        *(span(seconds * (settings.max_steps * pieces + listened)), settings.max_steps),
        records.peak_memory_mb() / 1e3,
    )
