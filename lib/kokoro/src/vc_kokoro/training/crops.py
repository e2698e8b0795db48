"""Which clips learn, and which piece of which clip a step takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vc_core.audio import TTS_RATE
from vc_core.errors import InputError
from vc_kokoro.features import FRAME
from vc_kokoro.network import Prosody, Text
from vc_kokoro.prepared import Clip
from vc_kokoro.training.fitted import Fitted

LEAST_SECONDS = 12.0  # of clips to learn from
CONTEXT = 20  # frames of 1/40 s before and after a piece that the decoder hears, too


@dataclass(frozen=True)
class Example:
    """A clip with its text as the network knows it, on the device."""

    clip: Clip
    text: Text
    prosody: Prosody
    samples: Tensor

    @property
    def frames(self) -> int:
        """Of 1/80 s."""
        return self.prosody.f0.shape[1]


@dataclass(frozen=True)
class Crop:
    """A piece of a clip: from a frame on, so many frames."""

    example: Example
    first: int
    count: int


def examples(clips: Sequence[Clip], fitted: Fitted) -> tuple[list[Example], list[Example]]:
    """Those of the train and of the validation split; raises InputError when there is too little.

    The text's side of the network does not learn, so that every text is encoded once.
    """
    found = {
        split: [_example(clip, fitted) for clip in clips if clip.split == split]
        for split in ("train", "validation")
    }
    seconds = sum(len(example.samples) for example in found["train"]) / TTS_RATE
    if seconds < LEAST_SECONDS:
        raise InputError(
            f"{seconds:.0f} s of clips to learn from are too little for a voice; give at least "
            f"{LEAST_SECONDS:.0f} s, better a minute"
        )
    return found["train"], found["validation"]


def _example(clip: Clip, fitted: Fitted) -> Example:
    device = fitted.device
    text = fitted.network.encode(clip.phonemes)
    if text.ids.shape[1] != len(clip.aligned.prosody.frames):
        raise InputError(f"clip {clip.clip}: aligned with other phonemes; run vc-encode again")
    prosody = clip.aligned.prosody.to(device)
    return Example(clip, text, prosody, clip.aligned.samples.to(device))


def drawn(known: Sequence[Example], count: int, seconds: float, seed: int, step: int) -> list[Crop]:
    """The pieces of a step, counted from 0: each clip comes once an epoch, at a random place."""
    place = np.random.default_rng([seed, step])
    crops = []
    for number in range(step * count, (step + 1) * count):
        epoch, index = divmod(number, len(known))
        order = np.random.default_rng([seed, 7, epoch]).permutation(len(known))
        crops.append(crop(known[int(order[index])], seconds, place.random()))
    return crops


def crop(example: Example, seconds: float, place: float) -> Crop:
    """A piece of a clip, at a place from 0 (its begin) to 1 (its end)."""
    count = min(example.frames, max(2, round(seconds * TTS_RATE / FRAME)))
    return Crop(example, round(place * (example.frames - count)), count)


def rendered(fitted: Fitted, piece: Crop, noise: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """A piece as the model says it, with the clip's own prosody, and as it is: both [1, S].

    The decoder hears a little more than the piece, the generator, which takes most of the time,
    the piece alone.
    """
    example, network = piece.example, fitted.network
    style = fitted.style(example.text.ids)
    # Durations count frames that are twice as long.
    begin = max(0, piece.first // 2 - CONTEXT)
    end = min(example.frames // 2, (piece.first + piece.count + 1) // 2 + CONTEXT)
    over_time = torch.repeat_interleave(example.text.acoustic, example.prosody.frames, dim=2)
    timbre = network.timbre(style)
    features = network.decoder.features(
        over_time[..., begin:end],
        example.prosody.f0[:, 2 * begin : 2 * end],
        example.prosody.energy[:, 2 * begin : 2 * end],
        timbre,
    )
    inner = slice(piece.first - 2 * begin, piece.first - 2 * begin + piece.count)
    f0 = example.prosody.f0[:, piece.first : piece.first + piece.count]
    made = network.decoder.generator(features[..., inner], timbre, f0, noise)
    wanted = example.samples[piece.first * FRAME : (piece.first + piece.count) * FRAME]
    return made, wanted[None, : made.shape[1]]
