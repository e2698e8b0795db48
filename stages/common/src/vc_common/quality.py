"""How clean speech sounds, without a reference: DNSMOS (Reddy et al. 2022) by speechmos."""

import numpy as np

from vc_common.audio import Samples

SILENT = 1.0  # the bottom of the scale: what a clip without a sound is worth
WINDOW = 144_160  # samples: what the model hears at once, 9.01 s


def dnsmos(samples: Samples) -> float:
    """Overall DNSMOS, 1 (bad) to 5 (excellent), of 16 kHz mono ``samples`` [frames]."""
    from speechmos import dnsmos as engine

    if samples.size == 0 or not np.any(samples):
        return SILENT
    if samples.size < WINDOW:
        # The engine would double short audio and slide over it second by second: the same
        # figure (0.02 apart on average) at up to nine times the work.
        samples = np.resize(samples, WINDOW)
    return float(engine.run(np.clip(samples, -1.0, 1.0), 16_000)["ovrl_mos"])
