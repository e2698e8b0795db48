"""Which language is heard, window by window; a transcriber here is made of the sound's level."""

from pathlib import Path

import numpy as np
import pytest

from vc_core import audio
from vc_core.manifests import Word
from vc_speech.whisper import Heard, HeardWord
from vc_transcribe import recording, stretches, transcript
from vc_transcribe.hearing import Ears, Stretch

RATE = 16_000
ENGLISH, GERMAN = 0.1, 0.4  # levels of the sound that stand for languages


class Levels:
    """Hears one word a second, its language by the level: mixed sound is English, less surely."""

    device = "cpu"

    def __init__(self) -> None:
        self.said: list[tuple[str, float]] = []

    def language_of(self, samples: audio.Samples) -> tuple[str, float]:
        loud = np.abs(samples[np.abs(samples) > 0.01])
        german = float(np.mean(loud > 0.3))
        return ("de", german) if german > 0.9 else ("en", 1.0 - german)

    def hear(self, samples: audio.Samples, language: str) -> Heard:
        self.said.append((language, len(samples) / RATE))
        words = [HeardWord(n, n + 0.9, f" {language}", 0.9) for n in range(len(samples) // RATE)]
        return Heard("", words, 0.0, 1.0)


@pytest.fixture
def engine() -> Levels:
    return Levels()


def heard(
    engine: Levels, tmp_path: Path, spans: list[tuple[float, float, float]], language: str = "en"
) -> list[Stretch]:
    """Stretches of a recording whose spans are [start, end) seconds at a level."""
    track = np.zeros(round((spans[-1][1] + 1) * RATE), np.float32)
    for start, end, level in spans:
        track[round(start * RATE) : round(end * RATE)] = level
    audio.write(tmp_path / "a.wav", track, RATE)
    with recording.opened(tmp_path / "a.wav") as sound:
        packed = stretches.packed([span[:2] for span in spans])
        return [s for batch in Ears(engine, language, 0).hear(sound, packed) for s in batch]


def test_short_stretches_share_a_window(engine: Levels, tmp_path: Path) -> None:
    spans = [(at, at + 4.0, ENGLISH) for at in (1.0, 10.0, 20.0)]
    found = heard(engine, tmp_path, spans)
    assert len(engine.said) == 1
    assert [s.piece.number for s in found] == [0, 1, 2]
    for stretch, (start, end, _) in zip(found, spans, strict=True):
        assert 3 <= len(stretch.words) <= 5
        assert all(start - 0.2 <= w.start <= w.end <= end + 0.2 for w in stretch.words)


def test_a_stretch_in_another_language_is_heard_in_it(engine: Levels, tmp_path: Path) -> None:
    spans = [(1.0, 9.0, ENGLISH), (20.0, 26.0, GERMAN), (30.0, 36.0, ENGLISH)]
    assert [s.language for s in heard(engine, tmp_path, spans)] == ["en", "de", "en"]


def test_a_short_stretch_takes_the_language_of_the_nearest(engine: Levels, tmp_path: Path) -> None:
    spans = [(1.0, 9.0, ENGLISH), (20.0, 26.0, GERMAN), (26.5, 28.0, ENGLISH)]
    assert [s.language for s in heard(engine, tmp_path, spans)] == ["en", "de", "de"]


def test_too_little_speech_to_tell_is_in_the_voices_language(
    engine: Levels, tmp_path: Path
) -> None:
    assert heard(engine, tmp_path, [(1.0, 2.5, GERMAN)])[0].language == "en"


def test_another_language_that_is_not_sure_is_not_believed(tmp_path: Path) -> None:
    class Unsure(Levels):
        def language_of(self, samples: audio.Samples) -> tuple[str, float]:
            return "cy", 0.4

    assert heard(Unsure(), tmp_path, [(1.0, 9.0, ENGLISH)])[0].language == "en"


def test_long_speech_is_cut_in_its_quietest_moment(tmp_path: Path) -> None:
    track = np.full(60 * RATE, 0.1, np.float32)
    track[24 * RATE : round(24.2 * RATE)] = 0
    audio.write(tmp_path / "a.wav", track, RATE)
    rows = [stretches.Segment(0, 60, "target")]
    with recording.opened(tmp_path / "a.wav") as sound:
        spans = stretches.of_target(rows, sound.quietest)
    assert spans[0] == (0, pytest.approx(24.1, abs=0.1))
    assert spans[-1][1] == 60
    assert all(end - start <= stretches.LONGEST for start, end in spans)


def test_a_word_at_a_cut_that_both_sides_heard_is_there_once() -> None:
    def row(start: float, end: float, said: str, stretch: int, confidence: float) -> Word:
        return Word(start, end, said, confidence, stretch, 0.0, 1.0, "en")

    heard = [
        row(1.0, 1.2, "use", 0, 0.9),
        row(1.2, 1.36, "the", 0, 0.6),
        row(1.32, 1.5, "The", 1, 0.9),
        row(1.5, 2.0, "tools", 1, 0.9),
        row(2.0, 2.2, "no,", 1, 0.9),
        row(2.2, 2.4, "no", 2, 0.9),
    ]
    left = transcript.once(heard)
    assert [word.word for word in left] == ["use", "The", "tools", "no,", "no"]
