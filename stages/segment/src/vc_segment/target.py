"""Which of the voices of a recording is the target's, and how sure that is of each piece."""

from dataclasses import dataclass

import numpy as np

from vc_core.errors import InputError
from vc_speech.diarization.decide import Decision
from vc_speech.diarization.pieces import Pieces
from vc_speech.speakers import Vector

LEAD = 0.15  # cosine to the reference by which the target leads the other voices...
DOUBT = 0.12  # ... unless its own passes what is needed by this much


def target_of(
    voices: Vector, reference: Vector, least: float, name: str
) -> tuple[int, list[float]]:
    """The voice most like the ``reference``, and how like it each is.

    Raises InputError, saying how like the nearest is, when that is below ``least``, or when
    several voices are about as like and none is so like that it settles the matter.
    """
    alike = [float(voice @ reference) for voice in voices]
    target = int(np.argmax(alike))
    ordered = sorted(alike, reverse=True)
    told = ", ".join(f"{value:.2f}" for value in ordered)
    if ordered[0] < least:
        raise InputError(
            f"{name}: the target is not heard: the nearest of {len(alike)} voices is "
            f"{ordered[0]:.2f} like the reference, {least:.2f} is needed; "
            "check the reference slice, or lower segment.min_similarity"
        )
    if len(alike) > 1 and ordered[0] < least + DOUBT and ordered[0] - ordered[1] < LEAD:
        raise InputError(
            f"{name}: the target is not heard: no voice stands out (they are {told} like the "
            "reference); check the reference slice, or cut the reference from this recording"
        )
    return target, alike


@dataclass(frozen=True)
class Named:
    """Frames [first, last) and whose they are: ``person`` is -1 for nobody known.

    ``similarity`` is the cosine to the target's voice; ``margin`` the log-odds (natural) that it
    is the target's: above 0 it rather is, below 0 it rather is not.
    """

    first: int
    last: int
    person: int
    similarity: float
    margin: float


def named(pieces: Pieces, decision: Decision, target: int) -> list[Named]:
    """The pieces as decided."""
    return [
        Named(int(first), int(last), int(who), float(alike), float(odds))
        for (first, last), who, alike, odds in zip(
            pieces.spans,
            decision.person,
            decision.likeness[:, target],
            decision.odds[:, target],
            strict=True,
        )
    ]
