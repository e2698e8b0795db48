"""How far speech is from the clip that it should sound like: in its spectra, and in its voice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vc_core.audio import ENGINE_RATE, TTS_RATE
from vc_kokoro import features
from vc_speech import encoders

MEL, STFT = 1.5, 0.5  # weights of the spectral distances

# The filterbank that CAM++ hears, as Kaldi computes it.
LENGTH, STEP, FFT = 400, 160, 512  # samples at 16 kHz
LOWEST, HIGHEST = 20.0, 8000.0  # Hz
PREEMPHASIS, FLOOR = 0.97, 1.1921e-7


def spectral(made: Tensor, wanted: Tensor) -> Tensor:
    """Distance of two batches of samples [B, S]: log mel, and magnitudes of three resolutions."""
    mel = (features.log_mel(made) - features.log_mel(wanted)).abs().mean()
    distances = []
    for size in features.SPECTRA:
        ours, theirs = features.magnitudes(made, size), features.magnitudes(wanted, size)
        convergence = (ours - theirs).norm() / theirs.norm()
        distances.append(convergence + (ours.log() - theirs.log()).abs().mean())
    return MEL * mel + STFT * torch.stack(distances).mean()


class SpeakerDistance:
    """1 - cosine of speech to a voice, as CAM++ hears it, with a gradient."""

    def __init__(self, encoder: encoders.CamPlusPlus, voice: Tensor, device: torch.device) -> None:
        """``voice`` [192] is the target's centroid."""
        self._network: Any = encoder.network.to(device).requires_grad_(False)
        self._voice = voice.to(device)
        self._bank = _bank().to(device)
        turns = torch.arange(LENGTH, device=device) / (LENGTH - 1)
        self._window = (0.5 - 0.5 * torch.cos(2 * math.pi * turns)) ** 0.85

    def __call__(self, samples: Tensor) -> Tensor:
        """Mean distance of samples [B, S] at 24 kHz."""
        made = self._network(self.filterbank(samples))
        likeness: Tensor = torch.nn.functional.cosine_similarity(made, self._voice[None])
        return 1 - likeness.mean()

    def filterbank(self, samples: Tensor) -> Tensor:
        """Log mel filterbank [B, frames, bands], centred, of samples [B, S] at 24 kHz."""
        frames = _resampled(samples).unfold(-1, LENGTH, STEP)
        frames = frames - frames.mean(-1, keepdim=True)
        first = frames[..., :1] * (1 - PREEMPHASIS)
        frames = torch.cat([first, frames[..., 1:] - PREEMPHASIS * frames[..., :-1]], dim=-1)
        power = torch.fft.rfft(frames * self._window, n=FFT).abs() ** 2
        bands = torch.log(torch.clamp(power @ self._bank, min=FLOOR))
        return bands - bands.mean(-2, keepdim=True)


def _resampled(samples: Tensor) -> Tensor:
    """24 kHz samples [B, S] at 16 kHz, in the frequency domain."""
    whole = samples[..., : samples.shape[-1] // 3 * 3].float()
    count = whole.shape[-1] * ENGINE_RATE // TTS_RATE
    spectrum = torch.fft.rfft(whole)[..., : count // 2 + 1]
    sampled: Tensor = torch.fft.irfft(spectrum, n=count)
    return sampled * (ENGINE_RATE / TTS_RATE)


def _bank() -> Tensor:
    """Kaldi's triangles on its mel scale, [FFT / 2 + 1, bands]."""

    def mel(hertz: np.typing.NDArray[np.float64] | float) -> Any:
        return 1127 * np.log(1 + np.asarray(hertz) / 700)

    bins = mel(np.arange(FFT // 2 + 1) * ENGINE_RATE / FFT)
    edges = np.linspace(mel(LOWEST), mel(HIGHEST), encoders.MEL_BANDS + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - left) / (centre - left)
    falling = (right - bins[:, None]) / (right - centre)
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))
