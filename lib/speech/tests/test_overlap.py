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
    # The host asks from 87.39 s on; the guest ends at 88.49 s.
    ((start, end),) = overlap.spans(part(interview, 79, 94), MODEL)
    assert abs(79 + start - 87.4) < 0.4 and abs(79 + end - 88.5) < 0.4


def test_one_voice_is_not_two(interview: Path) -> None:
    assert overlap.spans(part(interview, 288.5, 297.8), MODEL) == []
    assert overlap.spans(np.zeros(0, np.float32), MODEL) == []
    assert overlap.spans(np.zeros(16_000, np.float32), MODEL) == []
