"""Stretches of the target's speech: what sounds in them, the pauses between, the words of each.

Segments say who speaks, the envelope says where it is quiet. Where they disagree about a pause
the sound is believed; a pause that only the segments know of (a breath, music under it) counts.
"""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vc_core.manifests import Segment, Word
from vc_curate.sound import Envelope, Pause

JOINED = 0.8  # seconds: a longer pause ends the stretch, and so the clip
QUIET = ("silence", "music")
TOUCHED = 0.05  # seconds kept of a pause in which someone else may have begun or still speak
AROUND = 1.0  # seconds of silence around a stretch that are looked at
ONSET = 0.3  # seconds by which speech may begin before its segment does, or end after it
REAL_PAUSE = 0.15  # seconds: longer than the closure of a stop consonant
MEETING = 0.1  # seconds between a pause and the place where someone else's speech begins
WORD_DRIFT = 0.5  # seconds by which a word may be placed outside its speech

Span = tuple[float, float]


@dataclass(frozen=True)
class Stretch:
    """Sounds of the target with the pauses around each: ``pauses`` has one more than ``spans``.

    The first and the last pause are None where someone else speaks on without one: then the word
    there may be cut.
    """

    spans: list[Span]
    pauses: list[Pause | None]


def find(segments: Sequence[Segment], envelope: Envelope) -> list[Stretch]:
    """The stretches of a recording: target speech with short pauses, nobody else in between."""
    found = []
    for first, last in _groups(segments):
        stretch = _listen(segments, first, last, envelope)
        if stretch.spans:
            found.append(stretch)
    return found


def share_out(words: Sequence[Word], stretches: Sequence[Stretch]) -> list[list[tuple[Word, ...]]]:
    """The words of each span of each stretch; a word belongs to one span only.

    It is the span that holds most of the word, or the nearest within the drift of Whisper's
    times. Words keep their order. A word that is near no speech of the target is nobody's.
    """
    spans = [span for stretch in stretches for span in stretch.spans]
    starts = [start for start, _ in spans]
    shares: list[list[Word]] = [[] for _ in spans]
    least = 0
    for word in sorted(words, key=lambda word: word.start + word.end):
        near = range(
            max(least, bisect.bisect(starts, word.start - WORD_DRIFT) - 2),
            bisect.bisect(starts, word.end + WORD_DRIFT),
        )
        best = max(near, key=lambda number: held(word, spans[number]), default=None)
        if best is not None and held(word, spans[best]) >= -WORD_DRIFT:
            shares[best].append(word)
            least = best
    at = 0
    out = []
    for stretch in stretches:
        out.append([tuple(share) for share in shares[at : at + len(stretch.spans)]])
        at += len(stretch.spans)
    return out


def held(word: Word, span: Span) -> float:
    """Seconds of the word within the span; below 0, how far outside it lies."""
    return min(word.end, span[1]) - max(word.start, span[0])


def _groups(segments: Sequence[Segment]) -> list[tuple[int, int]]:
    """First and last number of the target's segments that belong together."""
    groups: list[tuple[int, int]] = []
    for number, row in enumerate(segments):
        if row.label != "target":
            continue
        if groups:
            between = segments[groups[-1][1] + 1 : number]
            pause = sum(gap.end - gap.start for gap in between)
            if all(gap.label in QUIET for gap in between) and pause <= JOINED:
                groups[-1] = (groups[-1][0], number)
                continue
        groups.append((number, number))
    return groups


def _listen(segments: Sequence[Segment], first: int, last: int, envelope: Envelope) -> Stretch:
    start, end = segments[first].start, segments[last].end
    before = segments[first - 1] if first else None
    after = segments[last + 1] if last + 1 < len(segments) else None
    closed = (before is None or before.label in QUIET, after is None or after.label in QUIET)
    # Into someone else's speech no further than half of it: the other half is the next one's.
    low = _reach(before, AROUND if closed[0] else ONSET, closed[0])
    high = _reach(after, AROUND if closed[1] else ONSET, closed[1])
    pauses = envelope.pauses(start - low, end + high)
    for row in segments[first : last + 1]:
        if row.label in QUIET and not any(p.start < row.end and p.end > row.start for p in pauses):
            pauses.append(envelope.pause(row.start, row.end))
    pauses.sort(key=lambda pause: pause.start)
    opening = _opening(pauses, start, start - low, closed[0], envelope)
    closing = _closing(pauses, end, end + high, closed[1], envelope)
    if opening and not closed[0]:
        opening = replace(opening, lowest=max(opening.lowest, opening.end - TOUCHED))
    if closing and not closed[1]:
        closing = replace(closing, lowest=min(closing.lowest, closing.start + TOUCHED))
    begin = opening.end if opening else start
    finish = closing.start if closing else end
    inner = [p for p in pauses if p.start > begin and p.end < finish]
    edges = [begin, *(edge for p in inner for edge in (p.start, p.end)), finish]
    spans = list(zip(edges[::2], edges[1::2], strict=True))
    if finish - begin < 1e-3:
        return Stretch([], [])
    return Stretch(spans, [opening, *inner, closing])


def _reach(row: Segment | None, most: float, closed: bool) -> float:
    """How many seconds of a row beside a stretch are listened to."""
    if row is None:
        return 0.0
    seconds = row.end - row.start
    return min(most, seconds if closed else seconds / 2)


def _opening(
    pauses: Sequence[Pause], start: float, low: float, closed: bool, envelope: Envelope
) -> Pause | None:
    """The pause before a stretch that begins at ``start`` by its segment."""
    reach = ONSET if closed else MEETING
    near = [
        p
        for p in pauses
        if p.end >= start - reach and p.start <= start + (0 if closed else MEETING)
    ]
    if near:
        # The last that ends near, what sounds before it lies in the silence; but a real pause
        # before a stop consonant's.
        return next((p for p in reversed(near) if p.seconds >= REAL_PAUSE), near[-1])
    if not closed:
        return None
    # The segments know of a pause that is not quiet; or the recording begins here.
    early = max(low, start - MEETING)
    return envelope.pause(early, start) if early < start else Pause(start, start, start)


def _closing(
    pauses: Sequence[Pause], end: float, high: float, closed: bool, envelope: Envelope
) -> Pause | None:
    """The pause after a stretch that ends at ``end`` by its segment."""
    reach = ONSET if closed else MEETING
    near = [
        p for p in pauses if p.start <= end + reach and p.end >= end - (0 if closed else MEETING)
    ]
    if near:
        return next((p for p in near if p.seconds >= REAL_PAUSE), near[0])
    if not closed:
        return None
    late = min(high, end + MEETING)
    return envelope.pause(end, late) if late > end else Pause(end, end, end)
