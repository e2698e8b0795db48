"""From pieces of speech to the people of the recording, and to the target among them.

The decision "target or not" is calibrated on this recording's own voices: a voice is the target's
when it is nearer to the target's centroid than to anyone else's here, not when it passes a global
threshold, which telephone voices of strangers pass.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vc_common import log
from vc_common.audio import ENGINE_RATE, Samples
from vc_common.errors import InputError
from vc_common.speakers import SpeakerEncoder, Vector, centroid
from vc_segment.activity import STEP, Heard, flagged_runs

SHORTEST = 0.4  # seconds from which an embedding says anything
SURE = 1.6  # seconds from which it is sure enough to form clusters: the encoder's window
LONGEST = 4.0  # seconds of a piece: longer speech without a pause may hide a change of voice
SAME_PERSON = 0.28  # cosine distance under which clusters are one person
MIN_PIECES = 2  # pieces that a cluster needs to count as a person


@dataclass(frozen=True)
class Piece:
    """Frames [first, last) of one person's speech: between pauses, changes and overlaps.

    ``person`` is -1 where the piece is too short to tell; ``similarity`` is the cosine to the
    target's centroid, ``margin`` its lead over the nearest other person's.
    """

    first: int
    last: int
    person: int = -1
    similarity: float = 0.0
    margin: float = 0.0


@dataclass(frozen=True)
class Voices:
    """The pieces of a recording, how many people speak, who is the target and how like."""

    pieces: list[Piece]
    people: int
    target: int
    match: float


def find_voices(
    samples: Samples,
    heard: Heard,
    encoder: SpeakerEncoder,
    reference: Vector,
    min_similarity: float,
    name: str,
) -> Voices:
    """Embed, cluster and name the pieces of 16 kHz ``samples``.

    Raises InputError when there is no speech or the target is not among the voices.
    """
    pieces = cut(heard)
    told = [piece for piece in pieces if _seconds(piece) >= SHORTEST]
    if not told:
        raise InputError(f"{name}: no speech long enough to tell a voice; check the recording")
    vectors = np.stack(
        [
            encoder.embed(_samples_of(samples, piece))
            for piece in log.progress(told, desc="voices", unit="piece")
        ]
    )
    sure = np.array([_seconds(piece) >= SURE for piece in told])
    centroids = people(vectors[sure] if sure.any() else vectors)
    likeness = centroids @ reference
    target = int(likeness.argmax())
    if likeness[target] < min_similarity:
        raise InputError(
            f"{name}: the target is not heard: the most similar of {len(centroids)} voices is "
            f"{likeness[target]:.2f} like the reference, {min_similarity:.2f} is needed; "
            "check the reference slice, or lower segment.min_similarity"
        )
    named = {
        (piece.first, piece.last): _named(piece, centroids @ vector, target)
        for piece, vector in zip(told, vectors, strict=True)
    }
    return Voices(
        [named.get((piece.first, piece.last), piece) for piece in pieces],
        len(centroids),
        target,
        float(likeness[target]),
    )


def cut(heard: Heard) -> list[Piece]:
    """Speech without overlap, cut at pauses and changes, long pieces in equal parts."""
    pieces = []
    for first, last in flagged_runs(heard.speech & ~heard.overlap):
        changes = (np.flatnonzero(heard.changes[first:last]) + first).tolist()
        edges = [first, *(at for at in changes if at > first), last]
        for start, end in pairwise(edges):
            parts = max(1, int(np.ceil((end - start) * STEP / LONGEST)))
            inner = np.linspace(start, end, parts + 1).round().astype(int).tolist()
            pieces += [Piece(a, b) for a, b in pairwise(inner)]
    return pieces


def people(vectors: Vector) -> Vector:
    """Centroids [people, dim] of agglomerative clusters; too small ones are nobody's."""
    from sklearn.cluster import AgglomerativeClustering

    if len(vectors) == 1:
        return vectors
    labels = AgglomerativeClustering(
        n_clusters=None, distance_threshold=SAME_PERSON, metric="cosine", linkage="average"
    ).fit_predict(vectors)
    sizes = np.bincount(labels)
    big = np.flatnonzero(sizes >= MIN_PIECES)
    chosen = big if big.size else np.array([sizes.argmax()])
    return np.stack([centroid(vectors[labels == label]) for label in chosen])


def _named(piece: Piece, likeness: Vector, target: int) -> Piece:
    rivals = np.delete(likeness, target)
    margin = float(likeness[target] - rivals.max()) if rivals.size else 1.0
    similarity = float(likeness[target])
    return Piece(piece.first, piece.last, int(likeness.argmax()), similarity, margin)


def _seconds(piece: Piece) -> float:
    return (piece.last - piece.first) * STEP


def _samples_of(samples: Samples, piece: Piece) -> Samples:
    rate = ENGINE_RATE * STEP
    return samples[round(piece.first * rate) : round(piece.last * rate)]
