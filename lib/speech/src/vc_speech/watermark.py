"""An inaudible mark that says "this speech is synthetic", put in and found again.

The mark is PerthNet's: a small network alters the loudness of the frequencies below 2 kHz where
they mask it, and its counterpart hears that. The weights come from the package resemble-perth;
its own code needs libraries that do not go with this torch, and the networks are simple.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from vc_core import audio, models
from vc_core.errors import InputError

if TYPE_CHECKING:
    import torch

RATE = 32_000  # Hz: what the network was trained on
WINDOW, HOP = 2048, 320  # samples
BINS = 128  # frequencies that carry the mark, the lowest of 1025
FLOOR_DB, HEADROOM_DB = -180.0, 15.0  # levels are scaled by these to about [0, 1]
LOUD = 0.05  # a frame carries the mark if it has this share of the loudest one's level
SPEEDS = (("slow", 1.25), ("normal", 1.0), ("fast", 0.75))  # at which the detector listens
KERNELS = 7  # convolutions of every network
SHORTEST = 0.5  # seconds; less holds no mark that could be found again


def mark(samples: audio.Samples, rate: int) -> audio.Samples:
    """The same speech with the mark in it; speech under half a second comes back as it is."""
    import torch

    if len(samples) < SHORTEST * rate:
        return samples
    sound = torch.from_numpy(audio.resample(samples, rate, RATE))
    with torch.inference_mode():
        level, phase = _spectrum(sound)
        carrier = level[:BINS]
        change = _convolve(carrier[None], "encoder.layers")[0] * _loud(level)
        change = torch.cat([change, torch.zeros_like(level[BINS:])])
        # Only what the mark changes is resampled and added, so that the rest stays as it was.
        difference = _sound(level + change, phase, len(sound)) - _sound(level, phase, len(sound))
    added = audio.resample(difference.numpy(), RATE, rate)[: len(samples)]
    out = samples.copy()
    out[: len(added)] += added
    return np.clip(out, -1.0, 1.0)


def confidence(samples: audio.Samples, rate: int) -> float:
    """How surely the mark is in the speech: near 1 with it, near 0 without."""
    import torch
    from torch.nn import functional

    if len(samples) < SHORTEST * rate or not np.any(samples):
        return 0.0
    with torch.inference_mode():
        level, _ = _spectrum(torch.from_numpy(audio.resample(samples, rate, RATE)))
        loud = _loud(level)[None, None]
        votes = []
        for name, speed in SPEEDS:
            length = int(level.shape[1] * speed)
            heard = functional.interpolate(
                level[None, :BINS], size=length, mode="linear", align_corners=True
            )
            out = _convolve(heard, f"decoder.{name}_layers")
            weight = functional.interpolate(loud, size=length, mode="nearest")
            votes.append((out * weight).sum(dim=2)[0] / weight.sum())
        # Of each speed's two outputs one says how much to trust it, the other what it heard.
        trust, opinion = torch.stack(votes, dim=1)
        return float((opinion * trust.softmax(dim=0)).sum().clamp(0, 1))


def _spectrum(sound: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled level and phase, [1025, frames], of a sound [samples]."""
    import torch

    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(sound, WINDOW, HOP, window=window, return_complex=True)
    decibels = 20 * torch.log10(spectrum.abs().clamp(min=10 ** (FLOOR_DB / 20)))
    return (decibels - FLOOR_DB) / (HEADROOM_DB - FLOOR_DB), spectrum.angle()


def _sound(level: torch.Tensor, phase: torch.Tensor, length: int) -> torch.Tensor:
    """The inverse of ``_spectrum``: [samples]."""
    import torch

    decibels = level * (HEADROOM_DB - FLOOR_DB) + FLOOR_DB
    spectrum = torch.polar(10 ** (decibels / 20), phase)
    return torch.istft(spectrum, WINDOW, HOP, window=torch.hann_window(WINDOW), length=length)


def _loud(level: torch.Tensor) -> torch.Tensor:
    """1 for frames that can carry the mark, 0 for the others, [frames]."""
    sums = level.sum(dim=0)
    return (sums > sums.max() * LOUD).float()


def _convolve(heard: torch.Tensor, network: str) -> torch.Tensor:
    """One of the networks over [1, bins, frames]: convolutions with leaky rectifiers between."""
    from torch.nn import functional

    for index in range(KERNELS):
        weight = _weights()[f"{network}.{index}.conv.weight"]
        bias = _weights()[f"{network}.{index}.conv.bias"]
        heard = functional.conv1d(heard, weight, bias, padding=weight.shape[-1] // 2)
        if index < KERNELS - 1:
            heard = functional.leaky_relu(heard)
    return heard


def check() -> None:
    """Raise InputError now, rather than after the speech is made, if the weights are missing."""
    _weights()


@functools.cache
def _weights() -> dict[str, Any]:
    """The trained weights, read once."""
    import torch

    folder = models.package_folder("perth") / "perth_net" / "pretrained" / "implicit"
    found = sorted(folder.glob("perth_net_*.pth.tar"))
    if not found:
        raise InputError(f"{folder}: the package resemble-perth holds no weights; install 1.0.1")
    weights: dict[str, Any] = torch.load(found[-1], map_location="cpu", weights_only=True)["model"]
    return weights
