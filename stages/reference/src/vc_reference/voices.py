"""Who speaks in a recording, roughly: its spans of speech, told apart by how they sound."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vc_core import log
from vc_core.audio import ENGINE_RATE, Samples
from vc_core.errors import InputError
from vc_reference.checks import Ears
from vc_speech import speakers, vad
from vc_speech.speakers import Vector

PIECE = 4.0  # seconds: longer speech without a pause may hold two voices
MAIN = 0.03  # of the speech: who speaks less is nobody to propose
MOST = 4000  # pieces that are clustered; of more an even choice, the others go to the nearest
BREAK = 1.5  # seconds: a stretch holds no longer pause
MARGIN = 0.15  # seconds of pause around a stretch


@dataclass(frozen=True)
class Turn:
    """A span of speech in seconds, whose it is, and how like that voice its least like part is.

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
    encoder, known = ears.encoder, ears.encoder.thresholds
    if known is None:
        raise InputError(
            "--encoder: voices are told apart only by one whose scale is known; "
            f"use {speakers.DEFAULT_ENCODER}"
        )
    spans = vad.speech_spans(samples)
    cuts = [_parts(start, end) for start, end in spans]
    pieces = [piece for parts in cuts for piece in parts]
    if not pieces:
        return []
    embedded = log.progress(pieces, unit="piece", desc="voices")
    vectors = np.stack([encoder.embed(_samples_of(samples, *piece)) for piece in embedded])
    seconds = np.array([end - start for start, end in pieces])
    labels, likeness = _labelled(vectors, seconds, encoder.window, known.person)
    double = ears.overlaps(samples)
    turns, at = [], 0
    for (start, end), parts in zip(spans, cuts, strict=True):
        here = slice(at, at + len(parts))
        alone = not any(since < end and start < until for since, until in double)
        one = alone and len(set(labels[here].tolist())) == 1
        turns.append(Turn(start, end, int(labels[at]) if one else -1, float(likeness[here].min())))
        at += len(parts)
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


def _labelled(
    vectors: Vector, seconds: Vector, window: float, person: float
) -> tuple[np.ndarray, np.ndarray]:
    """For each vector [n, dim] the number of its voice and its cosine to that voice's centroid."""
    from scipy.cluster.hierarchy import fcluster, linkage

    sure = np.flatnonzero(seconds >= window)
    sure = sure if sure.size else np.arange(len(vectors))
    sure = sure[np.linspace(0, sure.size - 1, min(sure.size, MOST)).round().astype(int)]
    labels = np.zeros(1, int)
    if sure.size > 1:
        tree = linkage(vectors[sure], method="average", metric="cosine")
        labels = fcluster(tree, person, criterion="distance") - 1
    spoken = np.bincount(labels, weights=seconds[sure])
    order = np.argsort(-spoken)
    main = [label for label in order if spoken[label] >= MAIN * spoken.sum()]
    centroids = np.stack([speakers.centroid(vectors[sure][labels == label]) for label in main])
    cosines = vectors @ centroids.T
    return cosines.argmax(axis=1), cosines.max(axis=1)


def _parts(start: float, end: float) -> list[tuple[float, float]]:
    """A span of seconds in equal parts of at most 4 s."""
    count = max(1, int(np.ceil((end - start) / PIECE)))
    return list(pairwise(np.linspace(start, end, count + 1).tolist()))


def _samples_of(samples: Samples, start: float, end: float) -> Samples:
    return samples[round(start * ENGINE_RATE) : round(end * ENGINE_RATE)]
