"""Seconds of tests before the hours of training, each ending in a plain reason.

What they catch has all happened to somebody: labels without an end, so that the voice never
stops; a loss counted 31 times; a codec of another model; LoRA on modules that do not train; an
adapter that changes the base.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from peft import set_peft_model_state_dict

from vc_core import log, records
from vc_core.errors import StageError
from vc_csm import csm, objective
from vc_csm.training import data, loop
from vc_csm.training.data import Clips, Drawn, Example
from vc_csm.training.settings import Settings

logger = log.get("train")

CHANCE_SLACK = 1.5  # a part of the loss may exceed that of guessing by this factor
TRIES = 8  # steps that must bring one batch's loss down
LEARNT = 0.98  # to this share of where it was, or lower
TRIAL_RATE = 3e-3  # high, so that few steps show it
FORWARD_SHARE = 1 / 3  # of a training step's time, what a validation takes for the same frames


@dataclass(frozen=True)
class Estimate:
    """What the whole run will take: seconds, GB of memory, and frames learnt in a second."""

    seconds: float
    memory_gb: float
    frames_a_second: float


def run(model: csm.Csm, clips: Clips, settings: Settings) -> None:
    """Try everything on the shortest clip; leaves the adapter as it was.

    Raises StageError with what is wrong and what to look at.
    """
    shortest = min(clips.train, key=lambda example: example.positions)
    model.model.eval()
    ends(model, shortest)
    fresh = loop.adapter_state(model)
    with model.model.disable_adapter():
        base = _loss(model, shortest, settings)
    stands(model, base)
    same(_loss(model, shortest, settings), base, settings, "a fresh adapter changes the base")
    learns(model, shortest, settings, sum(base))
    with model.model.disable_adapter():
        after = _loss(model, shortest, settings)
    same(after, base, settings, "the base itself was changed while the adapter learnt")
    set_peft_model_state_dict(model.model, fresh)


def same(
    found: tuple[float, float], base: tuple[float, float], settings: Settings, fault: str
) -> None:
    """Two losses must be the base's; ``fault`` says what it means when they are not."""
    # Arithmetic of 16 bits rounds at the third digit.
    if not math.isclose(sum(found), sum(base), rel_tol=1e-2 if _rough(settings) else 1e-4):
        raise StageError(
            f"self-test: {fault}: the loss is {sum(found):.4f}, the base's {sum(base):.4f}. "
            "Look at --targets and --backend, and take an untouched base model"
        )


def ends(model: csm.Csm, example: Example) -> None:
    """The closing frame of zeros must be the last thing that is learnt of a clip."""
    batch = objective.make_batch(model, [example.clip])
    base = csm.base_of(model.model)
    last = batch.ids.flatten()[batch.places[-1]]
    closed = bool((batch.codes[-1] == base.config.codebook_eos_token_id).all())
    if (
        len(batch.places) != len(example.clip.codes) + 1
        or not closed
        or int(last) != base.config.audio_eos_token_id
        or int(batch.deep[-1]) != len(example.clip.codes)
    ):
        raise StageError(
            f"self-test: clip {example.clip.clip} has no frame that ends it among its labels; "
            "the voice would never stop. The chat template of the base model must close audio "
            "with its audio_eos token"
        )


def stands(model: csm.Csm, parts: tuple[float, float]) -> None:
    """Neither part of the base's loss may be far above that of guessing."""
    guessing = math.log(csm.base_of(model.model).config.vocab_size)
    for name, value in zip(("backbone", "depth decoder"), parts, strict=True):
        if not value <= CHANCE_SLACK * guessing:
            raise StageError(
                f"self-test: the {name}'s loss is {value:.2f}, but guessing gives "
                f"{guessing:.2f}; codes and base model do not belong together, or the base "
                "model is damaged"
            )


def learns(model: csm.Csm, example: Example, settings: Settings, before: float) -> None:
    """A few steps on one batch must lower its loss."""
    optimizer = torch.optim.Adam(loop.trained(model), lr=TRIAL_RATE)
    batch = objective.make_batch(model, [example.clip])
    for _ in range(TRIES):
        with loop.autocast(model, settings):
            backbone, depth = objective.mean_losses(model, batch)
        torch.autograd.backward(backbone + depth)
        optimizer.step()
        optimizer.zero_grad()
    after = sum(_loss(model, example, settings))
    if not after < LEARNT * before:
        raise StageError(
            f"self-test: {TRIES} steps on one clip took its loss from {before:.4f} to "
            f"{after:.4f}; nothing is learnt. Look at --targets, --precision and --quantize"
        )


def estimate(model: csm.Csm, clips: Clips, settings: Settings, budget: int) -> Estimate:
    """Time and memory of the whole run, from the largest batch that it can meet.

    Learns nothing. Raises what a device raises that has too little memory.
    """
    largest = sorted(clips.train, key=lambda example: -example.positions)[: settings.clips_a_step]
    packed = data.pack([Drawn(example, None) for example in largest], budget)[0]
    batch = loop.batch_of(model, _thinned(packed, settings))
    model.model.train()
    _reset_peak(model)
    # The first pass pays for what is made ready once.
    for _ in range(2):
        started = time.perf_counter()
        with loop.autocast(model, settings):
            backbone, depth = objective.mean_losses(model, batch)
        torch.autograd.backward(backbone + depth)
        model.model.zero_grad()
        _wait(model)
        took = time.perf_counter() - started
    rate = len(batch.codes) / took
    mean = sum(len(example.clip.codes) + 1 for example in clips.train) / len(clips.train)
    validations = 1 + settings.max_steps // settings.eval_every
    validated = sum(len(example.clip.codes) + 1 for example in clips.validation) * validations
    learnt = settings.max_steps * settings.clips_a_step * mean
    return Estimate((learnt + FORWARD_SHARE * validated) / rate, _peak_gb(model), rate)


def _thinned(packed: list[Drawn], settings: Settings) -> list[Drawn]:
    """The same clips with as many frames for the depth decoder as a step would draw."""
    examples = [item.example for item in packed]
    generator = torch.Generator().manual_seed(0)
    return data.draw(examples, range(len(examples)), settings.depth_fraction, generator)


def _loss(model: csm.Csm, example: Example, settings: Settings) -> tuple[float, float]:
    """Backbone's and depth decoder's mean loss of one clip."""
    batch = objective.make_batch(model, [example.clip])
    with torch.no_grad(), loop.autocast(model, settings):
        backbone, depth = objective.mean_losses(model, batch)
    return float(backbone), float(depth)


def _rough(settings: Settings) -> bool:
    return settings.precision != "fp32" or settings.quantize != "none"


def _wait(model: csm.Csm) -> None:
    if csm.base_of(model.model).device.type == "cuda":
        torch.cuda.synchronize()


def _reset_peak(model: csm.Csm) -> None:
    if csm.base_of(model.model).device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak_gb(model: csm.Csm) -> float:
    """The most memory held so far: the GPU's, or this process's."""
    if csm.base_of(model.model).device.type == "cuda":
        # The optimizer's two moments are made at the first step: 8 bytes a weight.
        moments = 8 * sum(weight.numel() for weight in loop.trained(model))
        return (torch.cuda.max_memory_allocated() + moments) / 1e9
    return records.peak_memory_mb() / 1e3
