"""How clean speech sounds, without a reference: clipping, and DNSMOS (Reddy et al. 2022)."""

import functools
import os
from typing import Any

import numpy as np

from vc_core import models
from vc_core.audio import Samples

FULL = 0.999  # of full scale
FLAT = 3  # equal samples in a row
NEAR_PEAK = 0.9  # of the peak
SILENT = 1.0  # the bottom of the scale: what a clip without a sound is worth
WINDOW = 144_160  # samples: what the model hears at once, 9.01 s
HOP = 16_000  # samples between windows over longer audio
# What the authors of DNSMOS fitted between the model's third output and listeners' overall votes.
OVERALL = np.poly1d([-0.06766283, 1.11546468, 0.04602535])


def clipped(samples: Samples) -> float:
    """The share of mono ``samples`` [frames] that are clipped, 0 to 1.

    These are samples at full scale, and flat tops below it: three or more equal samples near
    the peak, as a recording has them that was clipped first and made quieter later.
    """
    level = np.abs(samples)
    if level.size < FLAT or not level.any():
        return 0.0
    same = (samples[1:] == samples[:-1]) & (level[1:] >= NEAR_PEAK * level.max())
    # Where a run of equal pairs is long enough, its samples count.
    flat = np.convolve(same, np.ones(FLAT - 1), "valid") >= FLAT - 1
    marked = level >= FULL
    for offset in range(FLAT):
        marked[offset : offset + len(flat)] |= flat
    return float(marked.mean())


def dnsmos(samples: Samples) -> float:
    """Overall DNSMOS, 1 (bad) to 5 (excellent), of 16 kHz mono ``samples`` [frames].

    By the model that speechmos ships: the same figure as its own, at two thirds of the work, for
    it would also compute three figures that nobody asks for, one of them by a second network.
    """
    if samples.size == 0 or not np.any(samples):
        return SILENT
    samples = np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)
    if samples.size < WINDOW:
        # The engine would double short audio and slide over it second by second: the same
        # figure (0.02 apart on average) at up to nine times the work.
        samples = np.resize(samples, WINDOW)
    starts = range(0, samples.size - WINDOW + 1, HOP)
    heard = [_engine().run(None, {"input_1": samples[None, at : at + WINDOW]}) for at in starts]
    return float(np.mean([OVERALL(outputs[0][0][2]) for outputs in heard]))


@functools.cache
def _engine() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # As many threads as this process may use: a job of two cores on a large machine has two.
    allowed = getattr(os, "sched_getaffinity", None)
    options.intra_op_num_threads = len(allowed(0)) if allowed else os.cpu_count() or 1
    path = models.package_folder("speechmos") / "dnsmos_models" / "sig_bak_ovr.onnx"
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
