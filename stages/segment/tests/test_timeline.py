"""From frames to rows: where pieces are cut, what the pauses are called, turns as RTTM."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vc_core import audio
from vc_core.manifests import Segment
from vc_segment import activity, levels, pieces, rttm, timeline
from vc_segment.activity import FRAME, Heard
from vc_segment.decide import Named
from vc_speech import speakers
from vc_speech.overlap import STEP

RATE = audio.ENGINE_RATE


def heard(frames: int, **flagged: list[tuple[int, int]]) -> Heard:
    """What is heard, given by runs of frames."""
    rows = {name: np.zeros(frames, bool) for name in ("speech", "pauses", "overlap", "changes")}
    for name, runs in flagged.items():
        for first, last in runs:
            rows[name][first:last] = True
    return Heard(**rows, switched=rows["changes"].astype(np.float32))


def test_pieces_end_at_pauses_changes_and_overlaps() -> None:
    spans = pieces.cut(
        heard(400, speech=[(10, 200), (250, 390)], overlap=[(150, 170)], changes=[(60, 61)])
    )
    assert spans == [(10, 60), (60, 150), (170, 200), (250, 390)]


def test_a_pause_too_short_to_end_speech_is_cut_at_where_both_sides_can_be_told() -> None:
    quiet = [(15, 20), (100, 106), (190, 193)]
    spans = pieces.cut(heard(300, speech=[(10, 240)], pauses=quiet))
    # The first lies too near the edge; the last is the breadth of a consonant.
    assert spans == [(10, 103), (103, 240)]


def test_long_speech_without_a_pause_is_looked_at_in_parts() -> None:
    spans = pieces.cut(heard(1000, speech=[(0, 1000)]))
    assert all((last - first) * STEP <= pieces.LONGEST for first, last in spans)
    assert (spans[0][0], spans[-1][1]) == (0, 1000)
    assert all(a[1] == b[0] for a, b in pairwise(spans))


def test_a_doubtful_piece_is_cut_where_it_is_quietest() -> None:
    class Loudness:
        window, thresholds = 1.0, None

        def embed(self, samples: audio.Samples) -> speakers.Vector:
            return np.array([len(samples), 0], np.float32)

        def embed_windows(
            self, samples: audio.Samples, step: float
        ) -> tuple[speakers.Vector, speakers.Vector]:
            raise NotImplementedError

    sound = np.full(300 * FRAME, 0.1, np.float32)
    sound[60 * FRAME : 66 * FRAME] = 0.01
    sound[5 * FRAME : 11 * FRAME] = 0.0  # too near the edge
    whole = pieces.Pieces(
        np.array([[0, 120], [150, 280]]),
        np.ones((2, 2), np.float32),
        np.array([np.nan, 0], np.float32),
    )
    cut, origin = pieces.halved(sound, whole, np.array([True, False]), Loudness())
    middle = int(cut.spans[0, 1])
    assert 60 <= middle <= 66
    assert cut.spans.tolist() == [[0, middle], [middle, 120], [150, 280]]
    assert origin.tolist() == [0, 0, 1]
    assert cut.vectors[:, 0].tolist() == [middle * FRAME, (120 - middle) * FRAME, 1]


def test_pieces_know_whether_the_voice_changed_before_them() -> None:
    found = heard(1000, speech=[(0, 50), (60, 100), (105, 150), (900, 950)], changes=[(103, 104)])
    told = pieces.switches(pieces.cut(found), found)
    assert np.isnan(told[[0, 3]]).all()
    assert told[1:3].tolist() == [0.0, 1.0]


def test_a_pause_within_speech_is_what_is_much_quieter_than_the_speech() -> None:
    sound = np.full(100 * FRAME, 0.1, np.float32)
    sound[40 * FRAME : 50 * FRAME] *= 0.01
    speech = np.ones(100, bool)
    assert activity.flagged_runs(activity.quiet(sound, speech)) == [(40, 50)]
    assert not activity.quiet(sound * 1e-3, np.zeros(100, bool)).any()


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
