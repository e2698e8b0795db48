"""Word times set right by where the voice is: Whisper's are a tenth or two of a second off."""

from collections.abc import Sequence
from dataclasses import replace

from vc_speech.whisper import HeardWord
from vc_transcribe.stretches import Span

REACH = 0.35  # seconds by which Whisper may place the border of two words beside their pause
SHORTEST = 0.04  # seconds that a word keeps


def settled(words: Sequence[HeardWord], voiced: Sequence[Span]) -> list[HeardWord]:
    """The words with no pause inside them that lies at one of their ends.

    ``voiced`` are the spans with a voice, in the words' time. Between two spans lies a pause: the
    border of words that is nearest to it is moved to its edges, if near enough.
    """
    if not words or not voiced:
        return list(words)
    borders = _borders(words, _pauses(words, voiced))
    found = []
    for number, word in enumerate(words):
        start = borders.get(number, (0.0, word.start))[1]
        end = borders.get(number + 1, (word.end, 0.0))[0]
        if end - start < SHORTEST:
            start, end = word.start, word.end
        found.append(replace(word, start=start, end=end))
    return _ordered(found)


def _pauses(words: Sequence[HeardWord], voiced: Sequence[Span]) -> list[Span]:
    edges = [min(words[0].start, voiced[0][0]) - REACH]
    edges += [edge for span in voiced for edge in span]
    edges.append(max(words[-1].end, voiced[-1][1]) + REACH)
    return list(zip(edges[::2], edges[1::2], strict=True))


def _borders(words: Sequence[HeardWord], pauses: Sequence[Span]) -> dict[int, Span]:
    """For the borders that have a pause, by the number of the word after it: its edges.

    The first and the last pause belong to the outer borders; of the others each takes the
    nearest border, and of two that want the same one the longer pause has it.
    """
    found: dict[int, Span] = {}
    for pause in sorted(pauses, key=lambda span: span[0] - span[1]):
        number = min(range(len(words) + 1), key=lambda n: _off(words, n, pause))
        if number not in found and _off(words, number, pause) <= REACH:
            found[number] = pause
    return found


def _off(words: Sequence[HeardWord], number: int, pause: Span) -> float:
    """Seconds between a pause and the border before word ``number``."""
    last = words[number - 1].end if number else pause[0]
    following = words[number].start if number < len(words) else pause[1]
    if number == 0:
        last = following
    if number == len(words):
        following = last
    return max(last - pause[1], pause[0] - following, 0.0)


def _ordered(words: Sequence[HeardWord]) -> list[HeardWord]:
    """No word begins before the one in front of it ends."""
    found: list[HeardWord] = []
    for word in words:
        start = max(word.start, found[-1].end) if found else word.start
        found.append(replace(word, start=start, end=max(word.end, start)))
    return found
