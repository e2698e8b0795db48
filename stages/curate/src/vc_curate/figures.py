"""What is measured of a clip: its bandwidth."""

import numpy as np

from vc_core.audio import Samples

BAND = 250.0  # Hz: the steps in which bandwidth is told
WINDOW = 0.032  # seconds
AUDIBLE = 40.0  # dB under the strongest band: what is fainter is a filter's skirt
MOVING = 8.0  # dB between a band's loud and quiet moments: speech comes and goes, noise stays


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
