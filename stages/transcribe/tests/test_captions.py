"""Captions that people wrote: read, cleaned, laid beside what was heard."""

from pathlib import Path

import pytest

from vc_core.errors import InputError
from vc_transcribe import captions
from vc_transcribe.aligned import Told, by_captions
from vc_transcribe.captions import Cue

VTT = """WEBVTT

NOTE made by hand

1
00:00:01.000 --> 00:00:03.500
<v Anna>ANNA: It's <i>five</i> &amp; ten,

00:03.500 --> 00:05.000 align:start
[Music
playing] - that is all.

00:05.000 --> 00:06.000
♪ la la la ♪
"""


def test_vtt_and_srt_are_read_without_what_is_not_said(tmp_path: Path) -> None:
    (tmp_path / "a.vtt").write_text(VTT)
    cues = captions.read(tmp_path / "a.vtt")
    assert [cue.words for cue in cues] == [("It's", "five", "ten,"), ("that", "is", "all.")]
    assert (cues[0].start, cues[1].end) == (1.0, 5.0)
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,500\n- BOB: Hello!\n")
    assert captions.read(tmp_path / "a.srt") == [Cue(1.0, 2.5, ("Hello!",))]


def test_lines_that_roll_up_count_once(tmp_path: Path) -> None:
    cue = "00:0{}.000 --> 00:0{}.000\n{}\n"
    rows = [(1, 2, "one two"), (2, 3, "one two\nthree four"), (3, 4, "three four\nfive")]
    (tmp_path / "a.vtt").write_text("WEBVTT\n\n" + "\n".join(cue.format(*row) for row in rows))
    found = captions.read(tmp_path / "a.vtt")
    assert [" ".join(one.words) for one in found] == ["one two", "three four", "five"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (">> MR. O'NEIL: Ok (laughs)", "Ok"),
        ("- No. # hey jude # #5", "No. #5"),
        ("{\\an8}He said: one — two", "He said: one two"),
        ("♪ [applause]", ""),
    ],
)
def test_marks_are_removed(line: str, words: str) -> None:
    assert captions.said(line) == words


def test_what_is_no_captions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.vtt").write_text("hello")
    with pytest.raises(InputError, match="not captions in WebVTT or SubRip"):
        captions.read(tmp_path / "a.vtt")
    (tmp_path / "b.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\n[Music]\n")
    with pytest.raises(InputError, match="has no words"):
        captions.read(tmp_path / "b.vtt")


def heard(line: str, confidence: float = 0.9, doubt: str = "") -> list[Told]:
    return [
        Told(10 + n * 0.5, 10.4 + n * 0.5, word, confidence, doubt)
        for n, word in enumerate(line.split())
    ]


def merged(told: list[Told], line: str, most: float = 0.3) -> tuple[list[Told], float | None]:
    return by_captions(told, [Cue(9.0, 20.0, tuple(line.split()))], "en", most)


def line(told: list[Told]) -> str:
    return " ".join(one.word for one in told)


def test_the_captions_form_is_taken_with_the_heard_times() -> None:
    told = heard("so what happened then i asked", doubt="too_fast")
    found, disagreement = merged(told, "the end of it. So, what happened then? I asked. And so")
    assert line(found) == "So, what happened then? I asked."
    assert [(one.start, one.end) for one in found] == [(one.start, one.end) for one in told]
    assert all(one.captioned and not one.doubt for one in found)
    assert disagreement == 0.0


def test_numbers_agree_however_they_are_written() -> None:
    found, disagreement = merged(
        heard("we paid five million dollars for it"), "We paid $5 million for it."
    )
    assert line(found) == "We paid $5 million for it."
    assert disagreement == 0.0
    assert (found[2].start, found[3].end) == (11.0, 12.4)
    assert found[2].end == found[3].start
    found, _ = merged(heard("we paid $5 million for it"), "We paid five million dollars for it.")
    assert line(found) == "We paid five million dollars for it."
    assert (found[2].start, found[4].end) == (11.0, 11.9)


def test_words_that_captions_correct_or_add_lie_between_their_neighbours() -> None:
    told = heard("we saw shame us reading his new poems aloud in the old town hall")
    found, disagreement = merged(
        told, "We saw Seamus Heaney reading his new poems aloud in the very old town hall."
    )
    assert (
        line(found) == "We saw Seamus Heaney reading his new poems aloud in the very old town hall."
    )
    assert disagreement == pytest.approx(3 / 15)
    assert (found[2].start, found[3].end) == (told[2].start, told[3].end)
    very = found[11]
    assert told[10].start < very.start < very.end <= told[11].start
    starts = [one.start for one in found]
    assert starts == sorted(starts)


def test_what_captions_leave_out_stays_when_it_was_heard_clearly() -> None:
    told = heard("i think uh it is fine and good")
    assert (
        line(merged(told, "I think it is fine and good.")[0]) == "I think uh it is fine and good."
    )
    told[2] = Told(told[2].start, told[2].end, "uh", 0.2)
    assert line(merged(told, "I think it is fine and good.")[0]) == "I think it is fine and good."


def test_captions_that_say_something_else_are_not_used() -> None:
    told = heard("here is what was really said by her today")
    found, disagreement = merged(told, "This is a loose translation of it, made by friends.")
    assert found == told
    assert disagreement is not None
    assert disagreement > 0.5
    assert merged(told, "Utterly unrelated!") == (told, 1.0)


def test_captions_of_another_time_are_not_compared() -> None:
    told = heard("here it is")
    assert by_captions(told, [Cue(100.0, 101.0, ("here",))], "en", 0.3) == (told, None)
    assert by_captions([], [Cue(0.0, 1.0, ("here",))], "en", 0.3) == ([], None)
