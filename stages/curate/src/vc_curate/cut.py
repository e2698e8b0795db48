"""Where clips begin and end: only in pauses, at sentence ends where there are some."""

from collections.abc import Sequence
from dataclasses import dataclass

from vc_common.ledger import Reason
from vc_common.manifests import LedgerRow, Segment, Word

PAD = 0.15  # seconds of the pause that a clip keeps at either end
JOINED = 0.8  # seconds: a longer pause ends the clip
WORD_GAP = 0.12  # seconds between words that serve as a pause where a unit is too long
WORD_DRIFT = 0.5  # seconds by which Whisper may place a word outside its speech
SENTENCE_ENDS = (".", "?", "!", "…")
PAUSES = ("silence", "music")

# What a clip costs: sentences want to stay whole, and few long clips teach more than many short.
COST_OF_A_CLIP = 0.3
COST_OF_A_BROKEN_SENTENCE = 1.0


@dataclass(frozen=True)
class Unit:
    """Speech of the target between two pauses, with the words in it."""

    start: float
    end: float
    words: tuple[Word, ...]

    @property
    def ends_sentence(self) -> bool:
        """Whether the last word closes a sentence."""
        return bool(self.words) and self.words[-1].word.endswith(SENTENCE_ENDS)


@dataclass(frozen=True)
class Candidate:
    """A clip to be judged: [start, end) seconds of the source with its words."""

    start: float
    end: float
    words: tuple[Word, ...]

    @property
    def text(self) -> str:
        """The words as a line."""
        return " ".join(word.word for word in self.words)


@dataclass(frozen=True)
class Cuts:
    """Candidates, and the seconds that could not become any."""

    candidates: list[Candidate]
    dropped: list[LedgerRow]


def into_clips(
    segments: Sequence[Segment], words: Sequence[Word], shortest: float, longest: float
) -> Cuts:
    """Cut the target's speech into candidates of ``shortest`` to ``longest`` seconds."""
    candidates: list[Candidate] = []
    dropped: list[LedgerRow] = []
    for group, bounds in _stretches(segments):
        units, lost = _units(group, bounds, words, longest)
        dropped += lost
        for first, last in _best_grouping(units, bounds, longest):
            chosen = units[first : last + 1]
            start, end = _padded(chosen[0].start, chosen[-1].end, bounds)
            # Neighbouring clips share a pause; neither reaches over its middle.
            if first > 0:
                start = max(start, (units[first - 1].end + chosen[0].start) / 2)
            if last + 1 < len(units):
                end = min(end, (chosen[-1].end + units[last + 1].start) / 2)
            spoken = tuple(word for unit in chosen for word in unit.words)
            if end - start < shortest:
                dropped.append(_row(start, end, Reason.TOO_SHORT))
            elif end - start > longest:
                dropped.append(_row(start, end, Reason.TOO_LONG))
            elif not spoken:
                dropped.append(_row(start, end, Reason.NO_WORDS))
            else:
                candidates.append(Candidate(start, end, spoken))
    return Cuts(candidates, dropped)


@dataclass(frozen=True)
class Bounds:
    """What lies around a stretch: how far its first and last pause reach, and whether there is
    one at all: where someone else's speech touches it, a word may be cut."""

    start: float
    end: float
    open_start: bool
    open_end: bool


def _stretches(segments: Sequence[Segment]) -> list[tuple[list[Segment], Bounds]]:
    """Runs of the target's segments with short pauses between, nobody else in them."""
    groups: list[list[int]] = []
    for number, row in enumerate(segments):
        if row.label != "target":
            continue
        if groups:
            between = segments[groups[-1][-1] + 1 : number]
            pause = sum(gap.end - gap.start for gap in between)
            if all(gap.label in PAUSES for gap in between) and pause <= JOINED:
                groups[-1].append(number)
                continue
        groups.append([number])
    return [([segments[n] for n in group], _bounds(segments, group)) for group in groups]


def _bounds(segments: Sequence[Segment], group: Sequence[int]) -> Bounds:
    before = segments[group[0] - 1] if group[0] else None
    after = segments[group[-1] + 1] if group[-1] + 1 < len(segments) else None
    first, last = segments[group[0]], segments[group[-1]]
    quiet_before = before is None or before.label in PAUSES
    quiet_after = after is None or after.label in PAUSES
    return Bounds(
        start=before.start if before and quiet_before else first.start,
        end=after.end if after and quiet_after else last.end,
        open_start=quiet_before,
        open_end=quiet_after,
    )


def _units(
    group: Sequence[Segment], bounds: Bounds, words: Sequence[Word], longest: float
) -> tuple[list[Unit], list[LedgerRow]]:
    """The units of a stretch; a unit that someone else's speech touches is dropped."""
    spans = _joined(group)
    units = []
    for span, spoken in zip(spans, _shared_out(words, spans), strict=True):
        units += _split(Unit(span[0], span[1], spoken), longest, bounds)
    dropped = []
    if units and not bounds.open_start:
        first = units.pop(0)
        dropped.append(_row(first.start, first.end, Reason.OVERLAP))
    if units and not bounds.open_end:
        last = units.pop()
        dropped.append(_row(last.start, last.end, Reason.OVERLAP))
    return units, dropped


def _shared_out(
    words: Sequence[Word], spans: Sequence[tuple[float, float]]
) -> list[tuple[Word, ...]]:
    """The words of each span: every word goes to the nearest, as Whisper's times are not exact."""
    shares: list[list[Word]] = [[] for _ in spans]
    for word in words:
        middle = (word.start + word.end) / 2
        distances = [max(start - middle, middle - end, 0.0) for start, end in spans]
        if min(distances) <= WORD_DRIFT:
            shares[distances.index(min(distances))].append(word)
    return [tuple(share) for share in shares]


def _joined(group: Sequence[Segment]) -> list[tuple[float, float]]:
    """Spans between pauses: segments of the target that touch are one."""
    spans: list[tuple[float, float]] = []
    for row in group:
        if spans and row.start - spans[-1][1] < 1e-3:
            spans[-1] = (spans[-1][0], row.end)
        else:
            spans.append((row.start, row.end))
    return spans


def _split(unit: Unit, longest: float, bounds: Bounds) -> list[Unit]:
    """A unit that is too long, or that someone touches, also ends at gaps between its words."""
    touched = not (bounds.open_start and bounds.open_end)
    if unit.end - unit.start <= longest - 2 * PAD and not touched:
        return [unit]
    parts: list[Unit] = []
    start, taken = unit.start, 0
    for number, (word, following) in enumerate(zip(unit.words, unit.words[1:], strict=False)):
        if following.start - word.end >= WORD_GAP:
            parts.append(Unit(start, word.end, unit.words[taken : number + 1]))
            start, taken = following.start, number + 1
    return [*parts, Unit(start, unit.end, unit.words[taken:])]


def _best_grouping(units: Sequence[Unit], bounds: Bounds, longest: float) -> list[tuple[int, int]]:
    """Group neighbouring units into clips at least cost; returns (first, last) of each.

    Dynamic programming over the place of the last cut; a unit that is too long stands alone.
    """
    best: list[tuple[float, int]] = [(0.0, 0)]
    for last, closing in enumerate(units):
        broken = 0.0 if closing.ends_sentence else COST_OF_A_BROKEN_SENTENCE
        options = []
        for first in range(last, -1, -1):
            start, end = _padded(units[first].start, closing.end, bounds)
            if first < last and end - start > longest:
                break
            options.append((best[first][0] + COST_OF_A_CLIP + broken, first))
        best.append(min(options))
    groups = []
    at = len(units)
    while at > 0:
        first = best[at][1]
        groups.append((first, at - 1))
        at = first
    return groups[::-1]


def _padded(start: float, end: float, bounds: Bounds) -> tuple[float, float]:
    """Widened into the pauses around, but not beyond them."""
    return max(bounds.start, start - PAD), min(bounds.end, end + PAD)


def _row(start: float, end: float, reason: Reason) -> LedgerRow:
    return LedgerRow(start, end, False, reason.value)
