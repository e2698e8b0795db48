"""What speaks against a word, and where the borders of words lie."""

import pytest

from vc_speech.whisper import HeardWord
from vc_transcribe.doubts import doubts
from vc_transcribe.times import settled


def words(line: str, start: float = 0.0, each: float = 0.4) -> list[HeardWord]:
    return [
        HeardWord(start + n * each, start + (n + 1) * each, word, 0.9)
        for n, word in enumerate(line.split())
    ]


def judged(heard: list[HeardWord], no_speech: float = 0.01, likelihood: float = -0.3) -> list[str]:
    voiced = [(heard[0].start, heard[-1].end)]
    return doubts(heard, voiced, no_speech, likelihood)


def test_ordinary_speech_is_not_doubted() -> None:
    line = "No, no, no, it was very very good and she said thank you, thank you, thank you to all."
    assert set(judged(words(line, each=0.3))) == {""}


@pytest.mark.parametrize(
    ("line", "doubted"),
    [
        ("so it was the the the the the the end", 6),
        ("and then I know you know you know you know you know", 8),
        ("well it is a good day it is a good day it is a good day", 15),
    ],
)
def test_phrases_over_and_over_are_repetition(line: str, doubted: int) -> None:
    found = judged(words(line))
    assert found.count("repetition") == doubted
    assert found[0] == ""


def test_text_that_compresses_too_well_is_repetition_as_a_whole() -> None:
    line = " ".join(f"and we go on to number {n} of the list" for n in "abcabcabcabcabcabc")
    assert set(judged(words(line))) == {"repetition"}


def test_unlikely_text_of_silence_is_no_speech() -> None:
    assert set(judged(words("Thank you."), no_speech=0.8, likelihood=-1.4)) == {"no_speech"}
    assert set(judged(words("Thank you."), no_speech=0.8, likelihood=-0.2)) == {""}


def test_words_without_a_voice_are_doubted() -> None:
    heard = [*words("that was all"), *words("thanks for watching", start=4.0)]
    found = doubts(heard, [(0.0, 1.2)], 0.1, -0.3)
    assert found == ["", "", "", "no_voice", "no_voice", "no_voice"]


def test_words_in_one_breath_with_a_voice_are_believed() -> None:
    heard = words("for such adventures one needs a boat", start=1.0)
    assert set(doubts(heard, [(heard[1].end + 0.3, heard[-1].end)], 0.1, -0.3)) == {""}
    late = doubts(heard, [(heard[4].end, heard[-1].end)], 0.1, -0.3)
    assert late[0] == "no_voice", "a whole sentence is not one breath"


def test_words_faster_than_speech_are_doubted() -> None:
    slow = words("this was said in a calm and quiet way by me")
    fast = words("unbelievably extraordinary transcription hallucinations", start=5.0, each=0.1)
    found = doubts([*slow, *fast], [(0.0, 4.4), (5.0, 9.0)], 0.1, -0.3)
    assert found == [""] * len(slow) + ["too_fast"] * 4
    crowded = words("several sentences of considerable length in hardly any time", each=0.2)
    hardly_voiced = [(at, at + 0.1) for at in (0.1, 0.4, 0.7, 1.0, 1.3, 1.6)]
    assert set(doubts(crowded, hardly_voiced, 0.1, -0.3)) == {"too_fast"}


def test_borders_of_words_move_to_the_pause_beside_them() -> None:
    heard = [
        HeardWord(0.0, 0.5, "one", 0.9),
        HeardWord(0.5, 1.2, "two", 0.9),
        HeardWord(1.2, 2.0, "three", 0.9),
    ]
    found = settled(heard, [(0.2, 1.05), (1.4, 1.9)])
    assert [(word.start, word.end) for word in found] == [(0.2, 0.5), (0.5, 1.05), (1.4, 1.9)]


def test_a_pause_far_from_any_border_moves_none() -> None:
    heard = [HeardWord(0.0, 2.0, "looong", 0.9), HeardWord(2.0, 2.4, "word", 0.9)]
    assert settled(heard, [(0.0, 0.9), (1.1, 2.4)]) == heard
    assert settled(heard, []) == heard
    assert settled([], [(0.0, 1.0)]) == []
