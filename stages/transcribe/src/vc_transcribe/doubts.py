"""Why a word was probably never said: what Whisper writes of its own accord has marks."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise

from vc_speech import text, whisper
from vc_speech.whisper import HeardWord
from vc_transcribe.stretches import Span


class Doubt(StrEnum):
    """What speaks against a word; the first that applies is given."""

    NO_SPEECH = "no_speech"  # Whisper itself takes the window for silence
    NO_VOICE = "no_voice"  # Silero hears nobody where the word is
    REPETITION = "repetition"  # the same words over and over
    TOO_FAST = "too_fast"  # faster than anybody speaks


NEAR = 0.25  # seconds within which a voice belongs to a word
REACH = 0.8  # ... that is spoken in one breath with such a word: Silero begins late on a telephone
BREATH = 0.15  # seconds between words of one breath
REPEATED = {1: 5, 2: 4}  # times in a row that people say so many words; of more words: 3
LONGEST_PHRASE = 10  # words
TOGETHER = 4  # words whose rate is measured at once: single times are too rough
FASTEST = 34.0  # letters a second, over a few words
FASTEST_STRETCH = 28.0  # letters a second of voice, over a stretch
LEAST_VOICE = 0.5  # seconds of voice from which a stretch has a rate


def doubts(
    words: Sequence[HeardWord], voiced: Sequence[Span], no_speech: float, likelihood: float
) -> list[str]:
    """For each word of a stretch the reason to doubt it, "" for none; all times on one clock."""
    silent = no_speech > whisper.NO_SPEECH and likelihood < whisper.UNLIKELY
    plain = [text.comparable(word.word) for word in words]
    voice = _with_voice(words, voiced)
    repeated, fast = _repeated(words, plain), _too_fast(words, plain, voiced)
    found = []
    for number in range(len(words)):
        reason = ""
        if silent:
            reason = Doubt.NO_SPEECH.value
        elif number not in voice:
            reason = Doubt.NO_VOICE.value
        elif number in repeated:
            reason = Doubt.REPETITION.value
        elif number in fast:
            reason = Doubt.TOO_FAST.value
        found.append(reason)
    return found


def _with_voice(words: Sequence[HeardWord], voiced: Sequence[Span]) -> set[int]:
    """Words near a voice, and those spoken in one breath with them."""

    def near(number: int, reach: float) -> bool:
        word = words[number]
        return any(s - reach < word.end and word.start < e + reach for s, e in voiced)

    found = {number for number in range(len(words)) if near(number, NEAR)}
    joined = [b.start - a.end <= BREATH for a, b in pairwise(words)]
    for number in range(1, len(words)):
        if number - 1 in found and joined[number - 1] and near(number, REACH):
            found.add(number)
    for number in reversed(range(len(words) - 1)):
        if number + 1 in found and joined[number] and near(number, REACH):
            found.add(number)
    return found


def _repeated(words: Sequence[HeardWord], plain: Sequence[str]) -> set[int]:
    """Words of phrases said too often in a row; all, where the text as a whole repeats itself."""
    if whisper.compression(" ".join(word.word.strip() for word in words)) > whisper.REPETITIVE:
        return set(range(len(words)))
    found: set[int] = set()
    for size in range(1, LONGEST_PHRASE + 1):
        at = 0
        while at + size <= len(plain):
            end = at + size
            while plain[end : end + size] == plain[at : at + size]:
                end += size
            if (end - at) // size >= REPEATED.get(size, 3):
                found.update(range(at, end))
            at = end if end > at + size else at + 1
    return found


def _too_fast(words: Sequence[HeardWord], plain: Sequence[str], voiced: Sequence[Span]) -> set[int]:
    letters = [sum(map(str.isalpha, word)) for word in plain]
    voice = sum(end - start for start, end in voiced)
    if voice >= LEAST_VOICE and sum(letters) > FASTEST_STRETCH * voice:
        return set(range(len(words)))
    found: set[int] = set()
    for first in range(len(words) - TOGETHER + 1):
        run = range(first, first + TOGETHER)
        seconds = words[run[-1]].end - words[first].start
        if sum(letters[n] for n in run) > FASTEST * max(seconds, 1e-3):
            found.update(run)
    return found
