"""From frames to rows: what the pauses are called, turns as RTTM."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from activities import heard

from vc_core import audio
from vc_core.manifests import Segment
from vc_segment import levels, rttm, timeline
from vc_segment.target import Named
from vc_speech.diarization.activity import FRAME
from vc_speech.overlap import STEP

RATE = audio.ENGINE_RATE


def test_rows_tile_the_recording_and_say_who_is_sure() -> None:
    named = [
        Named(10, 50, 0, 0.8, 9.0),
        Named(50, 60, 0, 0.6, 1.0),
        Named(60, 90, 1, 0.3, -9.0),
    ]
    found = heard(120, speech=[(10, 100)], overlap=[(90, 100)])
    rows = timeline.rows(120 * STEP - 0.005, None, found, named, 2.0)
    assert [row.label for row in rows] == [
        "silence",
        "target",
        "uncertain",
        "other",
        "overlap",
        "silence",
    ]
    assert rows[0].start == 0.0
    assert rows[-1].end == pytest.approx(120 * STEP - 0.005)
    assert all(a.end == b.start for a, b in pairwise(rows))
    assert (rows[1].speaker, rows[1].similarity, rows[1].margin) == ("0", 0.8, 9.0)
    assert sum(timeline.seconds_by_label(rows).values()) == pytest.approx(rows[-1].end, abs=2e-3)


def test_pauses_with_something_loud_taken_away_are_music(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    voice = chance.normal(0, 0.1, 200 * FRAME).astype(np.float32)
    voice[100 * FRAME :] = 0
    music = np.full(len(voice), 0.05, np.float32)
    music[150 * FRAME :] = 0
    audio.write(tmp_path / "recording.wav", voice + music, RATE)
    power = levels.removed_power(tmp_path / "recording.wav", voice)
    assert power[110:140] == pytest.approx(0.05**2, rel=0.01)
    assert power[155:] == pytest.approx(0.0, abs=1e-8)
    rows = timeline.rows(200 * STEP, power, heard(200, speech=[(0, 100)]), [], 2.0)
    assert [row.label for row in rows] == ["music"]
    half = timeline.rows(200 * STEP, power, heard(200, overlap=[(0, 150)]), [], 2.0)
    assert [row.label for row in half] == ["overlap", "silence"]


def test_turns_are_written_as_rttm(tmp_path: Path) -> None:
    rows = [
        Segment(0, 1, "silence"),
        Segment(1, 2, "target", "0", 0.8, 9.0),
        Segment(2, 3.5, "target", "0", 0.8, 9.0),
        Segment(3.5, 4, "overlap"),
        Segment(4, 5, "other", "2", 0.3, -9.0),
        Segment(5, 6, "uncertain", "0", 0.5, 0.5),
    ]
    rttm.write(tmp_path / "talk.rttm", rows, "a talk")
    assert (tmp_path / "talk.rttm").read_text().splitlines() == [
        "SPEAKER a_talk 1 1.000 2.500 <NA> <NA> target <NA> <NA>",
        "SPEAKER a_talk 1 4.000 1.000 <NA> <NA> speaker-2 <NA> <NA>",
    ]
