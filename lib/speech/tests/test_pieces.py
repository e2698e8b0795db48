"""Where speech is cut into pieces, and what a pause in it is."""

from itertools import pairwise

import numpy as np
from activities import heard

from vc_core import audio
from vc_speech import speakers
from vc_speech.diarization import activity, pieces
from vc_speech.diarization.activity import FRAME
from vc_speech.overlap import STEP


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
