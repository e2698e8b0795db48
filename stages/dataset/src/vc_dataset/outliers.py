"""Clips said faster or slower than this voice speaks: most often their text is not what is said."""

import statistics
from collections.abc import Sequence

from vc_core.manifests import Clip

ENOUGH = 20  # clips from which a voice's own rate is known
NORMAL = 1.4826  # standard deviation over median absolute deviation, of a normal distribution
LEAST_SPREAD = 0.3  # letters a second: nobody speaks more evenly


def find(clips: Sequence[Clip], most: float) -> dict[str, float]:
    """Clips whose rate is more than ``most`` deviations from the median, with how many.

    Deviations are robust (median absolute deviation). None with fewer than 20 clips whose rate
    is known. Texts that people corrected are believed.
    """
    rates = [clip.rate for clip in clips if clip.rate is not None]
    if len(rates) < ENOUGH or most <= 0:
        return {}
    middle = statistics.median(rates)
    spread = NORMAL * statistics.median(abs(rate - middle) for rate in rates)
    found = {}
    for clip in clips:
        if clip.rate is None or clip.text_from == "corrected":
            continue
        away = (clip.rate - middle) / max(spread, LEAST_SPREAD)
        if abs(away) > most:
            found[clip.clip] = round(away, 2)
    return found
