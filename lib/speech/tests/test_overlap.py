"""Two people at once are heard, and one person is not taken for two."""

from pathlib import Path

import numpy as np

from vc_core import audio
from vc_speech import overlap

MODEL = "package:pyannote-segmentation"


def part(interview: Path, start: float, end: float) -> audio.Samples:
    samples, rate = audio.read(interview, audio.ENGINE_RATE)
    return samples[round(start * rate) : round(end * rate)]


def test_two_voices_at_once_are_heard_where_they_are(interview: Path) -> None:
    # The host asks from 90.38 s on; the guest ends at 91.48 s.
    ((start, end),) = overlap.spans(part(interview, 82, 97), MODEL)
    assert abs(82 + start - 90.4) < 0.4 and abs(82 + end - 91.5) < 0.4


def test_one_voice_is_not_two(interview: Path) -> None:
    assert overlap.spans(part(interview, 298, 307.3), MODEL) == []
    assert overlap.spans(np.zeros(0, np.float32), MODEL) == []
    assert overlap.spans(np.zeros(16_000, np.float32), MODEL) == []
