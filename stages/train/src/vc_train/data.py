"""Which clips train, in which order, and which of their frames the depth decoder sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vc_common import csm, mimi, objective
from vc_common.codes import CodecInfo, CodedClip
from vc_common.errors import InputError

if TYPE_CHECKING:
    import torch

BUCKET = 16  # batches that are sorted by length together


@dataclass(frozen=True)
class Clips:
    """The clips a run learns from and is judged by, and how many did not fit the model."""

    train: list[CodedClip]
    validation: list[CodedClip]
    too_long: int


def select(
    clips: Sequence[CodedClip], codec: CodecInfo, model: csm.Csm, max_seconds: float
) -> Clips:
    """Train and validation clips within the model's limits.

    Raises InputError when the codes are another codec's, or when nothing is left to train on.
    """
    wanted = mimi.fingerprint(model.model.codec_model)
    if codec.fingerprint != wanted:
        raise InputError(
            f"the codes are those of another codec ({codec.fingerprint}, of {codec.model}) than "
            f"the base model's ({wanted}, of {model.name}); run vc-encode with this base model"
        )
    limit = model.model.config.max_position_embeddings
    fitting, too_long = [], 0
    for clip in clips:
        if clip.split not in ("train", "validation"):
            continue
        seconds = len(clip.codes) / codec.frame_rate
        # A frame may be begun and not filled, so a clip of 10 s can have a frame more.
        if (
            seconds > max_seconds + 1 / codec.frame_rate
            or objective.positions(model.processor, clip) > limit
        ):
            too_long += 1
            continue
        fitting.append(clip)
    chosen = Clips(
        [clip for clip in fitting if clip.split == "train"],
        [clip for clip in fitting if clip.split == "validation"],
        too_long,
    )
    if not chosen.train:
        raise InputError(
            f"no clip to train on: the train split has none of at most {max_seconds:g} s "
            f"({len(clips)} clips in all, {too_long} too long)"
        )
    return chosen


def batches(clips: Sequence[CodedClip], size: int, seed: int) -> Iterator[list[CodedClip]]:
    """Batches for ever, each clip once an epoch, neighbours in length together.

    The order depends on ``seed`` and the clips alone, so a resumed run passes over what it has
    seen and finds itself at the same place.
    """
    epoch = 0
    while True:
        draw = np.random.default_rng([seed, epoch])
        order = draw.permutation(len(clips))
        cut: list[list[CodedClip]] = []
        for first in range(0, len(order), BUCKET * size):
            bucket = sorted(order[first : first + BUCKET * size], key=lambda i: len(clips[i].codes))
            cut += [
                [clips[index] for index in bucket[start : start + size]]
                for start in range(0, len(bucket), size)
            ]
        for index in draw.permutation(len(cut)):
            yield cut[index]
        epoch += 1


def depth_frames(
    batch: Sequence[csm.Utterance], fraction: float, generator: torch.Generator
) -> torch.Tensor | None:
    """Which frames of a batch the depth decoder learns from: [frames] of bool, or None for all.

    At least one; without any its loss would not be a number.
    """
    import torch

    if fraction >= 1:
        return None
    count = sum(len(clip.codes) for clip in batch)
    kept = torch.zeros(count, dtype=torch.bool)
    kept[torch.randperm(count, generator=generator)[: max(1, round(fraction * count))]] = True
    return kept
