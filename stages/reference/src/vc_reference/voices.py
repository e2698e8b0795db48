"""Who speaks in a recording, as far as stretches of one voice alone are sought."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vc_core.audio import Samples
from vc_core.errors import InputError
from vc_reference.checks import Ears
from vc_speech import diarization, vad
from vc_speech.diarization import activity, pieces
from vc_speech.diarization.people import Labels
from vc_speech.overlap import STEP
from vc_speech.speakers import Vector

MAIN = 0.03  # of the speech: who speaks less is nobody to propose
BREAK = 1.5  # seconds: a stretch holds no longer pause
MARGIN = 0.15  # seconds of pause around a stretch


@dataclass(frozen=True)
class Turn:
    """A span of speech in seconds, whose it is, and how like that voice it sounds.

    The likeness is over what is usual for speech so long, and so may be above 1.

    ``voice`` is a number from 0, the one who speaks most, or -1 where parts of it differ, or two
    people speak at once.
    """

    start: float
    end: float
    voice: int
    likeness: float


@dataclass(frozen=True)
class Stretch:
    """Seconds of one voice alone, from pause to pause."""

    start: float
    end: float
    likeness: float


def turns_in(samples: Samples, ears: Ears) -> list[Turn]:
    """The spans of speech in 16 kHz mono ``samples`` [frames], each with its voice.

    Raises InputError for an encoder whose scale is not known.
    """
    known = ears.encoder.thresholds
    if known is None:
        raise InputError(
            "--encoder: voices are told apart only by one whose scale is known, such as "
            "package:campplus"
        )
    heard = activity.listen(samples, ears.overlap_model, vad.Silero())
    usual = diarization.USUAL
    people = diarization.tell_apart(samples, heard, ears.encoder, usual, known.voice)
    if people is None:
        return []
    seconds = people.pieces.seconds
    voices = _ranked(people.decision.person, seconds)
    likeness = _likeness(people)
    starts = people.pieces.spans[:, 0]
    turns = []
    for first, last in activity.flagged_runs(heard.speech):
        here = slice(*np.searchsorted(starts, (first, last)).tolist())
        alone = not heard.overlap[first:last].any()
        one = alone and len(set(voices[here].tolist())) == 1
        voice = int(voices[here][0]) if one else -1
        alike = float(np.average(likeness[here], weights=seconds[here])) if one else 0.0
        turns.append(Turn(first * STEP, last * STEP, voice, alike))
    return turns


def seconds_by_voice(turns: Sequence[Turn]) -> dict[int, float]:
    """Seconds of speech of each voice, the most first."""
    sums: dict[int, float] = {}
    for turn in turns:
        if turn.voice >= 0:
            sums[turn.voice] = sums.get(turn.voice, 0.0) + turn.end - turn.start
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def stretches(turns: Sequence[Turn], voice: int, shortest: float, longest: float) -> list[Stretch]:
    """From each turn of ``voice`` on the longest stretch of it alone that is not too long."""
    edges = [-np.inf, *(time for turn in turns for time in (turn.start, turn.end)), np.inf]
    found = []
    for first, turn in enumerate(turns):
        last = _last_of(turns, first, voice, turn.start + longest)
        if last is None or turns[last].end - turn.start < shortest:
            continue
        # Half of a short pause stays with the neighbour.
        before, after = turn.start - edges[2 * first], edges[2 * last + 3] - turns[last].end
        found.append(
            Stretch(
                max(0.0, turn.start - min(MARGIN, before / 2)),
                turns[last].end + min(MARGIN, after / 2),
                min(turn.likeness for turn in turns[first : last + 1]),
            )
        )
    return found


def _last_of(turns: Sequence[Turn], first: int, voice: int, until: float) -> int | None:
    """The last turn of a stretch that begins with turn ``first``; None where there is none."""
    last = None
    for number in range(first, len(turns)):
        turn = turns[number]
        pause = turn.start - turns[number - 1].end if number > first else 0.0
        if turn.voice != voice or turn.end > until or pause > BREAK:
            break
        last = number
    return last


def _ranked(persons: Labels, seconds: Vector) -> Labels:
    """For each piece [n] the rank of its person by speech, 0 for the most; -1 for minor ones."""
    known = persons >= 0
    spoken = np.bincount(persons[known], weights=seconds[known])
    main = [who for who in np.argsort(-spoken) if spoken[who] >= MAIN * spoken.sum()]
    ranks = np.full(len(spoken) + 1, -1)
    ranks[main] = np.arange(len(main))
    # Nobody's pieces are numbered -1, which is the last of the ranks.
    return ranks[persons]


def _likeness(people: diarization.People) -> Vector:
    """How like its person's voice each piece is [n], over what is usual for its length.

    1 where a piece is too short to tell.
    """
    decision, seconds = people.decision, people.pieces.seconds
    mine = decision.likeness[np.arange(len(seconds)), decision.person]
    out: Vector = np.where(
        seconds >= pieces.SHORTEST, mine / decision.noise.likeness(seconds), 1.0
    ).astype(np.float32)
    return out
