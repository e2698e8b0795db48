"""A clip as it is stored: 24 kHz, one loudness, no clipping, no clicks at its ends."""

import math
import warnings

import numpy as np

from vc_core import audio
from vc_core.audio import TTS_RATE, Samples

CEILING_DB = -1.0  # dBTP: room for what codecs add (EBU R 128)
OVERSAMPLING = 4  # as ITU-R BS.1770 finds true peaks
FADE = 0.01  # seconds of fade at either end


def finish(samples: Samples, rate: int, wanted: float) -> tuple[Samples, float]:
    """Samples [frames] at 24 kHz and ``wanted`` LUFS, and their loudness (ITU-R BS.1770).

    It is lower than wanted where the true peak would pass -1 dBTP.
    """
    import pyloudnorm

    faded = audio.resample(samples, rate, TTS_RATE).copy()
    size = min(round(FADE * TTS_RATE), len(faded) // 2)
    ramp = np.linspace(0, 1, size, dtype=np.float32)
    faded[:size] *= ramp
    faded[len(faded) - size :] *= ramp[::-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of clips under 3 s, and of silent ones
        measured = float(pyloudnorm.Meter(TTS_RATE).integrated_loudness(faded))
    gain_db = min(wanted - measured, CEILING_DB - true_peak_db(faded, TTS_RATE))
    return faded * np.float32(10 ** (gain_db / 20)), measured + gain_db


def true_peak_db(samples: Samples, rate: int) -> float:
    """Peak of the wave between the samples [frames], too, in dB relative to full scale."""
    between = audio.resample(samples, rate, OVERSAMPLING * rate)
    peak = max(float(np.abs(part).max(initial=0.0)) for part in (samples, between))
    return 20 * math.log10(max(peak, 1e-6))
