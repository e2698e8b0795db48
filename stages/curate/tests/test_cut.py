"""Clips begin and end in pauses of the sound, at sentence ends where there are some."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from vc_core import ledger
from vc_core.manifests import LedgerRow, Segment, Word
from vc_curate import cut, output, sound, stretch
from vc_curate.judge import Judged
from vc_curate.options import CurateOptions

LIMITS = CurateOptions(min_seconds=1.0, max_seconds=10.0, silence=0.15)


def segments(*rows: tuple[str, float]) -> list[Segment]:
    """Rows from (label, seconds) in order."""
    made, at = [], 0.0
    for label, seconds in rows:
        made.append(Segment(round(at, 6), round(at + seconds, 6), label))
        at += seconds
    return made


def words(*rows: tuple[float, float, str], **more: float | str) -> list[Word]:
    """Words from (start, end, text), all sure and English unless said otherwise."""
    told = {"confidence": 0.9, "stretch": 0, "no_speech": 0.1, "compression": 1.2, "language": "en"}
    return [Word(start, end, word, **{**told, **more}) for start, end, word in rows]  # type: ignore[arg-type]


def envelope(
    rows: Sequence[Segment], *silences: tuple[float, float], floor: float = -80.0
) -> sound.Envelope:
    """Sound at -20 dB wherever anybody speaks, but for the silences."""
    levels = np.full(round(rows[-1].end / sound.STEP), floor, np.float32)
    for row in rows:
        if row.label not in ("silence", "music"):
            levels[round(row.start / sound.STEP) : round(row.end / sound.STEP)] = -20.0
    for start, end in silences:
        levels[round(start / sound.STEP) : round(end / sound.STEP)] = floor
    return sound.Envelope(levels, [(r.start, r.end) for r in rows if r.label == "target"])


def texts(cuts: cut.Cuts) -> list[str]:
    return [one.text for one in cuts.candidates]


def spans(cuts: cut.Cuts) -> list[tuple[float, float]]:
    return [(round(one.start, 2), round(one.end, 2)) for one in cuts.candidates]


def test_a_clip_keeps_the_set_silence_at_its_ends_or_what_there_is() -> None:
    rows = segments(("silence", 1.0), ("target", 3.0), ("silence", 0.1), ("other", 2.0))
    cuts = cut.into_clips(rows, words((1.1, 3.9, "Hello.")), envelope(rows), LIMITS)
    # Someone else speaks 0.1 s after: the clip ends in the middle of that.
    assert spans(cuts) == [(0.85, 4.05)]


def test_the_sound_tells_where_speech_begins_not_the_segment() -> None:
    rows = segments(("silence", 1.0), ("target", 3.0), ("silence", 1.0))
    heard = envelope(rows, (1.0, 1.3), (3.5, 4.0))
    cuts = cut.into_clips(rows, words((1.1, 3.9, "Hello.")), heard, LIMITS)
    assert spans(cuts) == [(1.15, 3.65)]


def test_neighbours_share_a_short_pause_at_its_quietest_moment() -> None:
    rows = segments(("silence", 1.0), ("target", 12.2), ("silence", 1.0))
    heard = envelope(rows, (7.0, 7.2))
    heard.levels[round(7.12 / 0.005)] = -90.0
    cuts = cut.into_clips(rows, words((1.0, 7.0, "One."), (7.2, 13.2, "Two.")), heard, LIMITS)
    assert texts(cuts) == ["One.", "Two."]
    assert cuts.candidates[0].end == cuts.candidates[1].start == pytest.approx(7.12, abs=0.005)


def test_sentences_stay_whole_where_two_do_not_fit() -> None:
    rows = segments(
        *(("silence", 1.0), ("target", 4.0), ("silence", 0.4), ("target", 3.0)),
        *(("silence", 0.4), ("target", 4.0), ("silence", 1.0)),
    )
    said = words((1.2, 4.8, "First."), (5.5, 8.2, "second"), (8.9, 12.5, "part.”"))
    cuts = cut.into_clips(rows, said, envelope(rows), LIMITS)
    assert texts(cuts) == ["First.", "second part.”"]
    assert all(one.end - one.start <= 10.0 for one in cuts.candidates)


def test_speech_that_someone_touches_ends_at_the_last_pause_of_the_sound() -> None:
    rows = segments(("silence", 1.0), ("target", 4.0), ("overlap", 1.0), ("silence", 1.0))
    said = words((1.1, 3.9, "Kept."), (4.1, 5.5, "touched"))
    cuts = cut.into_clips(rows, said, envelope(rows, (3.95, 4.05)), LIMITS)
    assert texts(cuts) == ["Kept."]
    assert [(round(r.start, 2), round(r.end, 2), r.reason) for r in cuts.dropped] == [
        (4.05, 5.0, "overlap")
    ]
    # Without any pause nothing of it is used.
    assert cut.into_clips(rows, said, envelope(rows), LIMITS).candidates == []


def test_a_pause_of_the_sound_where_someone_else_takes_over_is_enough() -> None:
    rows = segments(("silence", 1.0), ("target", 3.0), ("other", 2.0))
    cuts = cut.into_clips(rows, words((1.1, 3.8, "Kept.")), envelope(rows, (3.85, 4.05)), LIMITS)
    assert texts(cuts) == ["Kept."]
    # 0.05 s of the pause: the other may have begun where it is not heard yet.
    assert spans(cuts)[0][1] == pytest.approx(3.9, abs=0.02)


def test_short_and_wordless_speech_is_dropped_with_its_reason() -> None:
    rows = segments(("silence", 2.0), ("target", 0.4), ("silence", 2.0), ("target", 3.0))
    cuts = cut.into_clips(rows, words((2.1, 2.3, "Oh.")), envelope(rows), LIMITS)
    assert cuts.candidates == []
    assert [row.reason for row in cuts.dropped] == ["too_short", "no_words"]


def test_speech_without_any_pause_is_too_long_and_never_cut_in_a_word() -> None:
    rows = segments(("silence", 1.0), ("target", 14.0), ("silence", 1.0))
    said = words((1.0, 7.9, "long."), (8.1, 15.0, "longer."))
    cuts = cut.into_clips(rows, said, envelope(rows), LIMITS)
    assert [row.reason for row in cuts.dropped] == ["too_long"]
    short_pause = envelope(rows, (7.95, 8.02))
    assert texts(cut.into_clips(rows, said, short_pause, LIMITS)) == ["long.", "longer."]


def test_a_stop_consonant_is_no_pause() -> None:
    rows = segments(("silence", 1.0), ("target", 12.0), ("silence", 1.0))
    said = words((1.0, 6.5, "One"), (6.5, 7.5, "stopping"), (7.5, 13.0, "word."))
    closure = envelope(rows, (6.95, 7.07))
    cuts = cut.into_clips(rows, said, closure, LIMITS)
    assert [row.reason for row in cuts.dropped] == ["too_long"]


def test_a_cut_never_parts_words_that_are_spoken_as_one() -> None:
    rows = segments(
        ("silence", 1.0), ("target", 6.0), ("silence", 0.4), ("target", 6.0), ("silence", 1.0)
    )
    amount = words((6.0, 7.0, "$5"), spoken="five million dollars")
    rest = words((7.4, 8.0, "million."), spoken="")
    before, after = words((1.0, 6.0, "It cost")), words((8.0, 13.4, "That is all."))
    cuts = cut.into_clips(rows, [*before, *amount, *rest, *after], envelope(rows), LIMITS)
    assert [row.reason for row in cuts.dropped] == ["too_long"]
    rows = segments(("silence", 5.9), ("target", 1.1), ("silence", 0.4), ("target", 0.7))
    one = cut.into_clips(rows, [*amount, *rest], envelope(rows), LIMITS).candidates[0]
    assert (one.text, one.written) == ("five million dollars", "$5 million.")


def test_doubtful_words_do_not_spoil_the_clips_around() -> None:
    rows = segments(
        *(("silence", 1.0), ("target", 3.0), ("silence", 0.5), ("target", 1.2)),
        *(("silence", 0.5), ("target", 3.0), ("silence", 1.0)),
    )
    sure = words((1.0, 4.0, "Before."), (6.2, 9.2, "After."))
    doubted = words((4.5, 5.7, "Thanks."), doubt="no speech")
    said = [sure[0], doubted[0], sure[1]]
    assert texts(cut.into_clips(rows, said, envelope(rows), LIMITS)) == [
        *("Before.", "Thanks.", "After.")
    ]


def test_every_word_belongs_to_one_clip() -> None:
    rows = segments(
        ("silence", 1.0), ("target", 3.0), ("silence", 0.9), ("target", 3.0), ("silence", 1.0)
    )
    # Whisper places words a little outside their speech: "Then" begins in the pause before it.
    said = words((0.7, 0.95, "If"), (1.2, 3.9, "so."), (4.3, 5.1, "Then"), (5.1, 7.6, "go."))
    cuts = cut.into_clips(rows, said, envelope(rows), LIMITS)
    assert texts(cuts) == ["If so.", "Then go."]


def test_in_noise_the_words_times_keep_faint_ends_in_the_clip() -> None:
    rows = segments(("silence", 1.0), ("target", 3.0), ("silence", 2.0))
    noisy = envelope(rows, (3.6, 4.0), floor=-30.0)  # the last sound drowns
    cuts = cut.into_clips(rows, words((1.0, 4.0, "Drowned.")), noisy, LIMITS)
    assert cuts.candidates[0].end >= 4.0


@pytest.mark.parametrize("seed", range(20))
def test_random_recordings_are_accounted_for_to_the_last_second(seed: int) -> None:
    chance = random.Random(seed)
    labels = ("target", "target", "target", "silence", "music", "other", "overlap", "uncertain")
    rows = segments(
        *((chance.choice(labels), round(chance.uniform(0.03, 4.0), 3)) for _ in range(120))
    )
    end = rows[-1].end
    silences = [
        (at, at + chance.uniform(0.02, 0.6)) for at in sorted(chance.sample(range(int(end)), 60))
    ]
    starts = sorted(chance.uniform(0, end) for _ in range(400))
    said = words(
        *((at, at + chance.uniform(0.05, 0.6), chance.choice(["a", "b."])) for at in starts)
    )
    cuts = cut.into_clips(rows, said, envelope(rows, *silences), LIMITS)
    judged = [Judged(one, None, one.text, "", "heard", {}) for one in cuts.candidates]
    told = output.ledger_rows(rows, cuts.dropped, judged, "s")
    ledger.check(told, end)
    assert sum(ledger.seconds_by_reason(told).values()) == pytest.approx(end, abs=0.05)
    kept = [row for row in told if row.kept]
    assert [row.clip for row in kept] == sorted({row.clip for row in kept})
    assert all(isinstance(row, LedgerRow) and row.end - row.start <= 10.0 + 1e-6 for row in kept)
    for row in rows:  # never a second in which somebody else speaks, but for their faint edges
        if row.label in ("other", "overlap", "uncertain"):
            inside = sum(max(0.0, min(row.end, k.end) - max(row.start, k.start)) for k in kept)
            assert inside <= 2 * (stretch.MEETING + LIMITS.silence)
