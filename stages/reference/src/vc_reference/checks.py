"""What makes a slice unfit as a reference: clipping, and a second voice."""

import numpy as np

from vc_common.audio import Samples
from vc_common.speakers import WINDOW, SpeakerEncoder
from vc_common.vad import Span

FULL = 0.999  # of full scale
FLAT = 3  # equal samples in a row
NEAR_PEAK = 0.9  # of the peak

STEP = 0.4  # seconds between the encoder's windows
STRETCH = 5  # windows, that is 3.2 s: the shortest stretch that is taken for another speaker


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


def least_likeness(samples: Samples, speech: list[Span], encoder: SpeakerEncoder) -> float | None:
    """How alike the least alike two parts of 16 kHz mono ``samples`` [frames] sound.

    Of all ways to set one stretch apart from the rest, the least cosine between the mean
    embeddings of the two. None where there is too little ``speech`` for two stretches.

    Single 1.6 s windows differ too much to be compared: over 3 s and more, 130 speakers of
    LibriSpeech stay above 0.75 (99 %), and of two speakers one after the other, or one
    within the other, 97 % fall below.
    """
    centres, vectors = encoder.embed_windows(samples, STEP)
    # Windows over pauses say nothing about the speaker.
    spoken = [_overlap(centre, speech) >= WINDOW / 2 for centre in centres]
    vectors = vectors[np.array(spoken, dtype=bool)]
    count = len(vectors)
    if count < 2 * STRETCH:
        return None
    sums = np.vstack([np.zeros_like(vectors[:1]), np.cumsum(vectors, axis=0)])
    least = 1.0
    for first in range(count - STRETCH + 1):
        for last in range(first + STRETCH, min(count, first + count - STRETCH) + 1):
            inside = sums[last] - sums[first]
            rest = sums[-1] - inside
            cosine = inside @ rest / (np.linalg.norm(inside) * np.linalg.norm(rest))
            least = min(least, float(cosine))
    return round(least, 4)


def _overlap(centre: float, spans: list[Span]) -> float:
    """Seconds of the window around ``centre`` that the spans cover."""
    start, end = centre - WINDOW / 2, centre + WINDOW / 2
    return sum(max(0.0, min(end, to) - max(start, since)) for since, to in spans)
