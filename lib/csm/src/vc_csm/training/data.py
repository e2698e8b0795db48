"""Which clips train, in which order and batches, and which frames the depth decoder sees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vc_core.errors import InputError
from vc_csm import csm, mimi
from vc_csm.codes import CodecInfo, CodedClip

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Example:
    """A clip, and how many of the model's positions it takes, text and frames together."""

    clip: CodedClip
    positions: int


@dataclass(frozen=True)
class Drawn:
    """A clip of a step, and which of its frames the depth decoder learns: None for all."""

    example: Example
    kept: torch.Tensor | None


@dataclass(frozen=True)
class Clips:
    """The clips a run learns from and is judged by, and how many did not fit the model."""

    train: list[Example]
    validation: list[Example]
    too_long: int
    frame_rate: float

    @property
    def longest(self) -> int:
        """Positions of the longest clip."""
        return max(example.positions for example in self.train + self.validation)

    def letters_a_second(self) -> float:
        """How fast the voice speaks: the median over the clips to train on."""
        rates = [
            len(example.clip.text) * self.frame_rate / len(example.clip.codes)
            for example in self.train
        ]
        return round(float(np.median(rates)), 2)


def select(
    clips: Sequence[CodedClip], codec: CodecInfo, model: csm.Csm, max_seconds: float
) -> Clips:
    """Train and validation clips within the model's limits.

    Raises InputError when the codes are another codec's or damaged, or when nothing is left to
    train on.
    """
    base = csm.base_of(model.model)
    wanted = mimi.fingerprint(base.codec_model)
    if codec.fingerprint != wanted:
        raise InputError(
            f"the codes are those of another codec ({codec.fingerprint}, of {codec.model}) than "
            f"the base model's ({wanted}, of {model.name}); run vc-encode with this base model"
        )
    limit = base.config.max_position_embeddings
    fitting, too_long = [], 0
    for clip in clips:
        if clip.split not in ("train", "validation"):
            continue
        _check(clip, codec)
        example = Example(clip, csm.positions(model.processor, clip))
        seconds = len(clip.codes) / codec.frame_rate
        # A frame may be begun and not filled, so a clip of 10 s can have a frame more.
        if seconds > max_seconds + 1 / codec.frame_rate or example.positions > limit:
            too_long += 1
        else:
            fitting.append(example)
    chosen = Clips(
        [example for example in fitting if example.clip.split == "train"],
        [example for example in fitting if example.clip.split == "validation"],
        too_long,
        codec.frame_rate,
    )
    if not chosen.train:
        raise InputError(
            f"no clip to train on: the train split has none of at most {max_seconds:g} s "
            f"({len(clips)} clips in all, {too_long} too long)"
        )
    return chosen


def _check(clip: CodedClip, codec: CodecInfo) -> None:
    """Codes that no codec made would teach nothing; a frame of zeros inside, to end too soon."""
    codes = clip.codes
    if not len(codes) or codes.min() < 0 or codes.max() >= codec.codebook_size:
        raise InputError(
            f"clip {clip.clip}: its codes are not those of a codec with {codec.codebook_size} "
            "entries; run vc-encode again"
        )
    if not codes.any(axis=1).all():
        raise InputError(
            f"clip {clip.clip}: a frame of zeros, which ends speech, lies inside; "
            "take the clip out, or run vc-encode again"
        )


def steps(clips: Sequence[Example], count: int, seed: int, first: int = 0) -> Iterator[list[int]]:
    """For every step from ``first`` on, for ever, the indices of its ``count`` clips.

    Each clip comes once an epoch. The order depends on ``seed`` and the number of clips alone,
    so a resumed run finds itself at the same place.
    """
    place = first * count
    while True:
        chosen = []
        for number in range(place, place + count):
            epoch, index = divmod(number, len(clips))
            chosen.append(int(_order(len(clips), seed, epoch)[index]))
        yield chosen
        place += count


def _order(count: int, seed: int, epoch: int) -> np.typing.NDArray[np.int64]:
    """The order of an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def draw(
    clips: Sequence[Example], indices: Sequence[int], fraction: float, generator: torch.Generator
) -> list[Drawn]:
    """A step's clips with the frames that their depth decoder learns from.

    At least one frame a clip. What is drawn does not depend on how the step is cut into batches.
    """
    import torch

    drawn = []
    for index in indices:
        example, kept = clips[index], None
        if fraction < 1:
            frames = len(example.clip.codes)
            kept = torch.zeros(frames, dtype=torch.bool)
            chosen = torch.randperm(frames, generator=generator)
            kept[chosen[: max(1, round(fraction * frames))]] = True
        drawn.append(Drawn(example, kept))
    return drawn


def pack(drawn: Sequence[Drawn], budget: int) -> list[list[Drawn]]:
    """Cut clips into batches of at most ``budget`` positions, padding counted.

    Neighbours in length go together, the longest first. A clip over the budget goes alone.
    """
    batches: list[list[Drawn]] = []
    room = 0
    for item in sorted(drawn, key=lambda item: -item.example.positions):
        if room <= 0:
            batches.append([])
            room = budget // item.example.positions
        batches[-1].append(item)
        room -= 1
    return batches


def epochs_to_steps(epochs: float, clips: int, clips_a_step: int) -> int:
    """How many steps see every clip ``epochs`` times."""
    return max(1, math.ceil(epochs * clips / clips_a_step))
