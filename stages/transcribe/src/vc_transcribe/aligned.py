"""Words that were heard, as people wrote them in captions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from vc_speech import spoken, text
from vc_transcribe.captions import Cue

SLACK = 2.0  # seconds by which captions may be early or late
TRUSTED = 0.5  # confidence from which a word that captions leave out was said all the same
ROOM = 0.05  # seconds that a word nobody heard gets at least


@dataclass(frozen=True)
class Told:
    """A word with its times; ``doubt`` as in ``doubts``, ``captioned`` when people wrote it."""

    start: float
    end: float
    word: str
    confidence: float
    doubt: str = ""
    captioned: bool = False


@dataclass(frozen=True)
class _Token:
    """A word as it is said, compared and counted; a written word has one or several."""

    plain: str
    owner: int


@dataclass(frozen=True)
class _Match:
    """A stretch of tokens laid beside captions: pairs (heard, captioned), None where one lacks."""

    pairs: list[tuple[int | None, int | None]]
    errors: int
    length: int


def by_captions(
    heard: Sequence[Told], cues: Sequence[Cue], language: str, most: float
) -> tuple[list[Told], float | None]:
    """The words of a stretch in the captions' form, and how far the two disagree.

    The disagreement is a word error rate; None where no caption stands beside the stretch. Over
    ``most`` everything stays as it was heard. Words that both have take the captions' form and
    the heard times; what only captions have lies between its neighbours. What was heard clearly,
    but left out by captions, stays: they seldom hold every word. Before the first and after the
    last word that both have, captions may be somebody else's.
    """
    if not heard:
        return [], None
    first, last = heard[0].start - SLACK, heard[-1].end + SLACK
    written = [w for cue in cues if cue.end > first and cue.start < last for w in cue.words]
    mine = _tokens([one.word for one in heard], language)
    theirs = _tokens(written, language)
    match = _matched(mine, theirs)
    if match is None:
        return list(heard), (1.0 if theirs and mine else None)
    disagreement = match.errors / match.length
    if disagreement > most:
        return list(heard), disagreement
    return _merged(heard, written, mine, theirs, match.pairs), disagreement


def _tokens(words: Sequence[str], language: str) -> list[_Token]:
    return [
        _Token(plain, number)
        for number, form in enumerate(spoken.forms(words, language))
        for plain in text.comparable(form).split()
    ]


def _matched(mine: Sequence[_Token], theirs: Sequence[_Token]) -> _Match | None:
    """The best alignment of all of ``mine`` with part of ``theirs``; None without a common word."""
    from rapidfuzz.distance import Levenshtein

    heard, captioned = [t.plain for t in mine], [t.plain for t in theirs]
    if not heard or not captioned:
        return None
    # Captions of the neighbourhood cost nothing where they lie before or after the stretch.
    size = len(captioned)
    begin = min(range(size), key=lambda n: (Levenshtein.distance(heard, captioned[n:]), -n))
    end = min(
        range(begin + 1, size + 1),
        key=lambda n: (Levenshtein.distance(heard, captioned[begin:n]), n),
    )
    pairs: list[tuple[int | None, int | None]] = []
    for code in Levenshtein.opcodes(heard, captioned[begin:end]):
        left: list[int | None] = list(range(code.src_start, code.src_end))
        right: list[int | None] = list(range(begin + code.dest_start, begin + code.dest_end))
        size = max(len(left), len(right))
        left += [None] * (size - len(left))
        right += [None] * (size - len(right))
        pairs += zip(left, right, strict=True)
    same = [
        n
        for n, (a, b) in enumerate(pairs)
        if a is not None and b is not None and heard[a] == captioned[b]
    ]
    if not same:
        return None
    # Outside the common words only what was heard counts.
    outside = [(a, None) for a, _ in pairs[: same[0]] if a is not None]
    beyond = [(a, None) for a, _ in pairs[same[-1] + 1 :] if a is not None]
    kept = [*outside, *pairs[same[0] : same[-1] + 1], *beyond]
    return _Match(kept, len(kept) - len(same), len(kept))


def _merged(
    heard: Sequence[Told],
    written: Sequence[str],
    mine: Sequence[_Token],
    theirs: Sequence[_Token],
    pairs: Sequence[tuple[int | None, int | None]],
) -> list[Told]:
    """The words of the alignment in their order, each once, with times."""
    times = _token_times(heard, mine)
    replaced = {mine[a].owner for a, b in pairs if a is not None and b is not None}
    rows: list[tuple[int | None, int | None, int | None]] = []  # heard, captioned, heard token
    for a, b in pairs:
        if b is not None:
            rows.append((None, theirs[b].owner, a))
        elif a is not None and mine[a].owner not in replaced:
            rows.append((mine[a].owner, None, a))
    found: list[Told | str] = []
    last = max(n for n, row in enumerate(rows) if row[1] is not None)
    at = 0
    for (own, other), several in groupby(rows, key=lambda row: row[:2]):
        group = list(several)
        at += len(group)
        if own is not None:
            between = found and any(map(_is_captioned, found)) and at <= last
            if heard[own].confidence >= TRUSTED or not between:
                found += [heard[own], *(heard[n] for n in _silent_after(own, mine, len(heard)))]
            continue
        assert other is not None  # every row has an owner
        spans = [(times[a], heard[mine[a].owner].confidence) for *_, a in group if a is not None]
        together = [other, *_silent_after(other, theirs, len(written))]
        word = " ".join(written[n] for n in together)
        if not spans:
            found.append(word)
            continue
        sure = sum(confidence for _, confidence in spans) / len(spans)
        start, end = spans[0][0][0], spans[-1][0][1]
        found.append(Told(start, end, word, sure, captioned=True))
    return [part for one in _placed(found) for part in _parts(one)]


def _is_captioned(row: Told | str) -> bool:
    return isinstance(row, str) or row.captioned


def _silent_after(number: int, tokens: Sequence[_Token], count: int) -> range:
    """The words of ``count`` after ``number`` that are said together with it: $5's million."""
    following = [token.owner for token in tokens if token.owner > number]
    return range(number + 1, following[0] if following else count)


def _token_times(heard: Sequence[Told], mine: Sequence[_Token]) -> list[tuple[float, float]]:
    """A span for every token: an equal share of its word's."""
    times: list[tuple[float, float]] = []
    for owner, group in groupby(mine, key=lambda token: token.owner):
        count, start = len(list(group)), heard[owner].start
        # What is said together ends with the last of the words it is written in.
        step = (heard[_silent_after(owner, mine, len(heard)).stop - 1].end - start) / count
        times += [(start + n * step, start + (n + 1) * step) for n in range(count)]
    return times


def _placed(rows: Sequence[Told | str]) -> list[Told]:
    """Words that nobody heard, laid evenly between those beside them."""
    found: list[Told] = []
    at = 0
    while at < len(rows):
        row = rows[at]
        if isinstance(row, Told):
            found.append(row)
            at += 1
            continue
        stop = next(n for n in range(at, len(rows)) if isinstance(rows[n], Told))
        new = [one for one in rows[at:stop] if isinstance(one, str)]
        before, after = found[-1], rows[stop]
        assert isinstance(after, Told)
        start = before.end
        if after.start - start < ROOM * len(new):
            # Whisper gave their time to the word before.
            start = max((before.start + before.end) / 2, before.end - ROOM * len(new))
            found[-1] = replace(before, end=start)
        step = (after.start - start) / len(new)
        sure = min(before.confidence, after.confidence)
        found += [
            Told(start + n * step, start + (n + 1) * step, word, sure, captioned=True)
            for n, word in enumerate(new)
        ]
        at = stop
    return found


def _parts(one: Told) -> list[Told]:
    """Words that were timed together, one by one."""
    words = one.word.split()
    step = (one.end - one.start) / max(1, len(words))
    return [
        replace(one, word=word, start=one.start + n * step, end=one.start + (n + 1) * step)
        for n, word in enumerate(words)
    ]
