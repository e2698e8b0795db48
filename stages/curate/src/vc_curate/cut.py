"""Where clips begin and end: only in pauses, at sentence ends where there are some."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vc_core.ledger import Reason
from vc_core.manifests import LedgerRow, Segment, Word
from vc_curate import stretch
from vc_curate.options import CurateOptions
from vc_curate.sound import Envelope, Pause
from vc_curate.stretch import Span, Stretch

SENTENCE_ENDS = (".", "?", "!", "…")
CLOSERS = "\"')]»”’"

SURE_PAUSE = 0.25  # seconds: a longer one is in no word
WORD_PAUSE = 0.1  # seconds: long enough where the words' times agree that one ends there
LAST_RESORT = 0.04  # seconds: the same, in speech too long for a clip or touched by someone else
AGREEING = 0.12  # seconds by which words may miss the pause that they agree with
STRADDLING = 0.07  # seconds of a word on either side of a pause that make it doubtful
UNHEARD = 0.5  # seconds of sound without a word: something was said that the text lacks

# What a clip costs. A sentence wants to stay whole, a clip to end where it is certainly quiet;
# few long clips teach more than many short ones; lost seconds cost most.
COST_OF_A_CLIP = 0.3
COST_OF_A_BROKEN_SENTENCE = 3.0
COST_OF_A_SHORT_PAUSE = 1.0  # when there is none at all; falls to 0 at LONG_PAUSE
LONG_PAUSE = 0.4
COST_OF_A_DOUBTFUL_CUT = 3.0
COST_OF_A_LOST_SECOND = 2.0


@dataclass(frozen=True)
class Unit:
    """Speech [start, end) seconds that no clip is cut in, the pauses around it, its words.

    ``before`` or ``after`` is None where someone else's speech touches it. ``doubtful``: a word
    lies on both sides of the pause after it.
    """

    start: float
    end: float
    speech: float
    words: tuple[Word, ...]
    before: Pause | None
    after: Pause | None
    doubtful: bool

    @property
    def ends_sentence(self) -> bool:
        """Whether the last word closes a sentence."""
        return bool(self.words) and self.words[-1].word.rstrip(CLOSERS).endswith(SENTENCE_ENDS)

    @property
    def useless(self) -> bool:
        """Whether it would spoil a clip: words that were not said, or speech without words."""
        imagined = any(word.doubt for word in self.words)
        return imagined or (not self.words and self.speech >= UNHEARD)


@dataclass(frozen=True)
class Candidate:
    """A clip to be judged: [start, end) seconds of the source with its words.

    ``speech`` is how many of its seconds are not pauses.
    """

    start: float
    end: float
    words: tuple[Word, ...]
    speech: float

    @property
    def text(self) -> str:
        """The words as they are said, in a line."""
        said = [word.word if word.spoken is None else word.spoken for word in self.words]
        return " ".join(part for part in said if part)

    @property
    def written(self) -> str:
        """The words as they are written, in a line."""
        return " ".join(word.word for word in self.words)


@dataclass(frozen=True)
class Cuts:
    """Candidates, and the seconds that could not become any."""

    candidates: list[Candidate]
    dropped: list[LedgerRow]


def into_clips(
    segments: Sequence[Segment], words: Sequence[Word], envelope: Envelope, limits: CurateOptions
) -> Cuts:
    """Cut the target's speech into candidates of the limits' length."""
    cuts = Cuts([], [])
    found = stretch.find(segments, envelope)
    for one, shares in zip(found, stretch.share_out(words, found), strict=True):
        units = _units(one, shares, limits.max_seconds)
        # Someone else speaks on at an end: a word may be cut there, and the sound be two voices'.
        for unit in units:
            if unit.before is None or unit.after is None:
                cuts.dropped.append(_row(unit.start, unit.end, Reason.OVERLAP))
        units = [unit for unit in units if unit.before is not None and unit.after is not None]
        for first, last in _best_grouping(units, limits):
            _take(units[first : last + 1], limits, cuts)
    return cuts


def _take(chosen: Sequence[Unit], limits: CurateOptions, cuts: Cuts) -> None:
    """Make a candidate of the units, or a row that says why not."""
    start, end = _edges(chosen, limits.silence)
    words = tuple(word for unit in chosen for word in unit.words)
    if end - start > limits.max_seconds:
        cuts.dropped.append(_row(start, end, Reason.TOO_LONG))
    elif not words:
        cuts.dropped.append(_row(start, end, Reason.NO_WORDS))
    elif end - start < limits.min_seconds:
        cuts.dropped.append(_row(start, end, Reason.TOO_SHORT))
    else:
        speech = sum(unit.speech for unit in chosen)
        cuts.candidates.append(Candidate(start, end, words, speech))


def _units(one: Stretch, shares: Sequence[tuple[Word, ...]], longest: float) -> list[Unit]:
    """The stretch in units: between pauses that no word lies in."""
    units: list[Unit] = []
    for first, last in _runs(one, shares, _may_cut):
        touched = one.pauses[first] is None or one.pauses[last + 1] is None
        if one.spans[last][1] - one.spans[first][0] <= longest and not touched:
            units.append(_unit(one, shares, first, last))
            continue
        part = Stretch(one.spans[first : last + 1], one.pauses[first : last + 2])
        held = shares[first : last + 1]
        units += [_unit(part, held, a, b) for a, b in _runs(part, held, _may_cut_at_last)]
    return units


def _runs(
    one: Stretch,
    shares: Sequence[tuple[Word, ...]],
    may_cut: "Callable[[Stretch, Sequence[tuple[Word, ...]], int], bool]",
) -> list[tuple[int, int]]:
    """First and last span of each unit."""
    last = len(one.spans) - 1
    ends = [number for number in range(last) if may_cut(one, shares, number)] + [last]
    return list(zip([0, *(end + 1 for end in ends)], ends, strict=False))


def _may_cut(one: Stretch, shares: Sequence[tuple[Word, ...]], number: int) -> bool:
    """Whether the pause after span ``number`` lies between words."""
    pause = one.pauses[number + 1]
    assert pause is not None  # only the ends of a stretch lack one
    if _said_before(shares, number):
        return False
    if pause.seconds >= SURE_PAUSE:
        return True
    return pause.seconds >= WORD_PAUSE and _agreed(one, shares, number, pause)


def _may_cut_at_last(one: Stretch, shares: Sequence[tuple[Word, ...]], number: int) -> bool:
    """The same where there is no better place, and much would be lost without one."""
    pause = one.pauses[number + 1]
    assert pause is not None
    if _said_before(shares, number):
        return False
    return pause.seconds >= LAST_RESORT and _agreed(one, shares, number, pause)


def _said_before(shares: Sequence[tuple[Word, ...]], number: int) -> bool:
    """Whether the next word is said by the spoken form of the one before: "$5 million"."""
    following = next((share[0] for share in shares[number + 1 :] if share), None)
    return following is not None and following.spoken == ""


def _agreed(one: Stretch, shares: Sequence[tuple[Word, ...]], number: int, pause: Pause) -> bool:
    """Whether the words' times, too, say that one ends and another begins in the pause."""
    if not shares[number] or not shares[number + 1]:
        return False
    ends, begins = shares[number][-1].end, shares[number + 1][0].start
    near = pause.start - AGREEING <= (ends + begins) / 2 <= pause.end + AGREEING
    return near and not _straddled(one, shares, number)


def _straddled(one: Stretch, shares: Sequence[tuple[Word, ...]], number: int) -> bool:
    """Whether a word lies on both sides of the pause after span ``number``."""
    around: tuple[Span, Span] = one.spans[number], one.spans[number + 1]
    beside = [*shares[number][-1:], *shares[number + 1][:1]]
    return any(min(stretch.held(word, span) for span in around) > STRADDLING for word in beside)


def _unit(one: Stretch, shares: Sequence[tuple[Word, ...]], first: int, last: int) -> Unit:
    return Unit(
        start=one.spans[first][0],
        end=one.spans[last][1],
        speech=sum(end - start for start, end in one.spans[first : last + 1]),
        words=tuple(word for share in shares[first : last + 1] for word in share),
        before=one.pauses[first],
        after=one.pauses[last + 1],
        doubtful=last + 1 < len(one.spans) and _straddled(one, shares, last),
    )


def _best_grouping(units: Sequence[Unit], limits: CurateOptions) -> list[tuple[int, int]]:
    """Group neighbouring units into clips at least cost; returns (first, last) of each.

    Dynamic programming over the place of the last cut; a unit that is too long stands alone.
    """
    best: list[tuple[float, int]] = [(0.0, 0)]
    for last in range(len(units)):
        options = []
        for first in range(last, -1, -1):
            chosen = units[first : last + 1]
            start, end = _edges(chosen, limits.silence)
            if first < last and end - start > limits.max_seconds:
                break
            options.append((best[first][0] + _cost(chosen, end - start, limits), first))
        best.append(min(options))
    groups = []
    at = len(units)
    while at > 0:
        first = best[at][1]
        groups.append((first, at - 1))
        at = first
    return groups[::-1]


def _cost(chosen: Sequence[Unit], seconds: float, limits: CurateOptions) -> float:
    closing = chosen[-1]
    cost = COST_OF_A_CLIP
    if not closing.ends_sentence:
        cost += COST_OF_A_BROKEN_SENTENCE
    if closing.doubtful:
        cost += COST_OF_A_DOUBTFUL_CUT
    pause = closing.after.seconds if closing.after else 0.0
    cost += COST_OF_A_SHORT_PAUSE * max(0.0, 1 - pause / LONG_PAUSE)
    lost = seconds < limits.min_seconds or seconds > limits.max_seconds
    if lost or any(unit.useless for unit in chosen):
        cost += COST_OF_A_LOST_SECOND * seconds
    return cost


def _edges(chosen: Sequence[Unit], silence: float) -> Span:
    """Where a clip of the units begins and ends: in the pauses, ``silence`` from the sound.

    Where the pause is too short for that on both sides, at its quietest moment.
    """
    before, after = chosen[0].before, chosen[-1].after
    assert before is not None and after is not None  # touched units are dropped before
    return (
        max(before.lowest, before.end - silence),
        min(after.lowest, after.start + silence),
    )


def _row(start: float, end: float, reason: Reason) -> LedgerRow:
    return LedgerRow(start, end, False, reason.value)
