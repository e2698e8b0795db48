"""What is measured of sound: F0, energy, cepstra for alignment, spectra for losses.

Frames are 1/80 s (300 samples at 24 kHz), as Kokoro's F0 and energy have them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from vc_core.audio import ENGINE_RATE, TTS_RATE, Samples

FRAME = 300  # samples
F0_FLOOR, F0_CEILING = 60.0, 500.0  # Hz
CEPSTRA = 19
# Kokoro's energy: the norm of a mel spectrum in a bank that was built for 16 kHz.
ENERGY_FFT, ENERGY_WINDOW, BANDS = 2048, 1200, 80
SPECTRA = (512, 1024, 2048)  # FFT sizes of the spectral losses

Curve = npt.NDArray[np.float32]


def f0(samples: Samples) -> Curve:
    """F0 in Hz of each frame of 24 kHz samples, 0 where unvoiced (WORLD's DIO and StoneMask)."""
    import pyworld

    double = samples.astype(np.float64)
    found, times = pyworld.dio(
        double,
        TTS_RATE,
        f0_floor=F0_FLOOR,
        f0_ceil=F0_CEILING,
        frame_period=1000 * FRAME / TTS_RATE,
    )
    curve: Curve = pyworld.stonemask(double, found, times, TTS_RATE).astype(np.float32)
    return curve


def energy(samples: Tensor) -> Tensor:
    """Log energy [frames] of 24 kHz samples [S], on the scale of Kokoro's predictor."""
    spectrum = _spectrum(samples, ENERGY_FFT, FRAME, ENERGY_WINDOW) ** 2
    return torch.log((_energy_bank(samples.device) @ spectrum + 1e-5).norm(dim=0))


def cepstra(samples: Tensor) -> npt.NDArray[np.float32]:
    """Mel cepstra [CEPSTRA, frames] of 24 kHz samples [S], without the one for loudness."""
    from scipy.fft import dct

    mel = torch.log(mel_bank(samples.device) @ _spectrum(samples, 1024, FRAME, 1024) + 1e-3)
    made: npt.NDArray[np.float32] = dct(mel.cpu().numpy(), axis=0, norm="ortho")
    return made[1 : CEPSTRA + 1]


def log_mel(samples: Tensor) -> Tensor:
    """Log mel spectrum [..., BANDS, frames] of 24 kHz samples [..., S], a frame in 256."""
    return torch.log(mel_bank(samples.device) @ _spectrum(samples, 1024, 256, 1024) + 1e-5)


def magnitudes(samples: Tensor, size: int) -> Tensor:
    """Magnitudes [..., size / 2 + 1, frames] of an FFT of ``size``, a quarter of it a frame."""
    return _spectrum(samples, size, size // 4, size)


@lru_cache
def mel_bank(device: torch.device) -> Tensor:
    """Mel filters [BANDS, 513] of a 1024-point FFT at 24 kHz."""
    import librosa

    bank = librosa.filters.mel(sr=TTS_RATE, n_fft=1024, n_mels=BANDS)
    return torch.from_numpy(bank).to(device)


@lru_cache
def _energy_bank(device: torch.device) -> Tensor:
    import librosa

    bank = librosa.filters.mel(
        sr=ENGINE_RATE, n_fft=ENERGY_FFT, n_mels=BANDS, norm=None, htk=True, fmax=ENGINE_RATE / 2
    )
    return torch.from_numpy(bank).to(device)


def _spectrum(samples: Tensor, size: int, hop: int, window: int) -> Tensor:
    """Magnitudes [..., size / 2 + 1, frames], never 0."""
    shaped = torch.hann_window(window, device=samples.device)
    found = torch.stft(samples, size, hop, window, shaped, return_complex=True)
    return found.abs().clamp(min=1e-5)


def fitted(curve: Tensor, frames: int) -> Tensor:
    """A curve [n] cut, or filled with its last value, to so many frames."""
    short = frames - len(curve)
    if short <= 0:
        return curve[:frames]
    return functional.pad(curve[None], (0, short), mode="replicate")[0]
