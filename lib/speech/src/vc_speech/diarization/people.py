"""The people of a recording, found by clustering the embeddings of its pieces of speech.

How alike two pieces of one person are differs between a studio and a telephone, and between
encoders. So it is measured in the recording itself, on neighbouring pieces between which nobody
heard the voice change, and all else is judged against it.
"""

from dataclasses import dataclass

import numpy as np

from vc_speech.speakers import Vector

MOST = 2000  # pieces that are clustered: the memory for more grows with their square
SURE = 1.4  # seconds from which a piece is sure enough to form clusters
MIN_SURE = 4  # such pieces, below which shorter ones must do
PRIOR = 5  # pairs of neighbours that what is usual counts as much as
QUIETEST = 0.1  # share of the chunks that may have heard a change between such neighbours
MIN_PIECES = 2  # that a cluster needs to count as a person


Labels = np.typing.NDArray[np.int64]
Flags = np.typing.NDArray[np.bool_]


@dataclass(frozen=True)
class Clusters:
    """``labels`` [n] of the pieces: -1 where they are nobody's or were not clustered.

    ``likeness`` is how alike two pieces of one person are, ``between`` how alike the likest two
    voices are (0 where there is only one).
    """

    labels: Labels
    likeness: float
    between: float


def cluster(
    vectors: Vector, seconds: Vector, switched: Vector, usual: float, voice: float
) -> Clusters:
    """Cluster unit ``vectors`` [n, dim] of pieces so many ``seconds`` long.

    ``usual`` is the likeness to expect of one person's pieces, before looking;
    ``voice`` the likeness below which two voices, freed from noise, are certainly two people's.
    """
    same = (1 + voice) / 2
    sure = surest(seconds)
    likeness = own_likeness(vectors, sure, switched, usual)
    chosen = np.flatnonzero(sure)
    if len(chosen) > MOST:
        chosen = chosen[np.linspace(0, len(chosen) - 1, MOST).round().astype(int)]
    labels = np.full(len(vectors), -1)
    labels[chosen] = joined(vectors[chosen], _agglomerated(vectors[chosen], same * likeness), same)
    kinds = np.unique(labels[labels >= 0])
    alike = voice_likeness(vectors, labels, kinds)
    np.fill_diagonal(alike, 0)
    return Clusters(labels, likeness, float(alike.max()))


def surest(seconds: Vector) -> Flags:
    """Flags [n] of the pieces that are long enough to cluster by."""
    sure = seconds >= SURE
    if sure.sum() >= MIN_SURE:
        return np.asarray(sure, bool)
    longest = np.argsort(-seconds, kind="stable")[:MIN_SURE]
    sure[longest] = seconds[longest] > 0
    return np.asarray(sure, bool)


def own_likeness(vectors: Vector, sure: Flags, switched: Vector, usual: float) -> float:
    """Median cosine of neighbouring sure pieces between which no change of voice was heard.

    The ``usual`` likeness counts as much as ``PRIOR`` such pairs.
    """
    near = np.flatnonzero(sure[1:] & sure[:-1] & (np.nan_to_num(switched[1:], nan=1) <= QUIETEST))
    if not len(near):
        return usual
    here = float(np.median(np.einsum("nd,nd->n", vectors[near], vectors[near + 1])))
    return (len(near) * here + PRIOR * usual) / (len(near) + PRIOR)


def joined(vectors: Vector, labels: Labels, same: float) -> Labels:
    """Join clusters whose voices are at least ``same`` alike, the likest first.

    Too small ones become nobody's (-1).
    """
    labels = labels.copy()
    sizes = np.bincount(labels)
    if sizes.max() >= MIN_PIECES:
        labels[np.isin(labels, np.flatnonzero(sizes < MIN_PIECES))] = -1
    while True:
        kinds = np.unique(labels[labels >= 0])
        alike = voice_likeness(vectors, labels, kinds)
        np.fill_diagonal(alike, -1)
        a, b = np.unravel_index(alike.argmax(), alike.shape)
        if alike[a, b] < same:
            return labels
        labels[labels == kinds[b]] = kinds[a]


def voice_likeness(vectors: Vector, labels: Labels, kinds: Labels) -> Vector:
    """Cosines between the clusters' voices [kinds, kinds], as infinitely many pieces would tell.

    The mean of a few pieces carries their noise, which makes like voices look different: so the
    cosine is taken relative to how alike different pieces of one cluster are.
    """
    means, own = [], []
    for kind in kinds:
        mine = vectors[labels == kind]
        count, total = len(mine), mine.sum(axis=0)
        means.append(total / count)
        apart = (float(total @ total) - count) / max(count * (count - 1), 1)
        own.append(apart if count > 1 else 1.0)
    stacked, scale = np.stack(means), np.sqrt(np.maximum(own, 1e-3))
    out: Vector = (stacked @ stacked.T) / np.outer(scale, scale)
    return out


def _agglomerated(vectors: Vector, least: float) -> Labels:
    """Labels [n] of clusters with average linkage, joined down to a cosine of ``least``."""
    if len(vectors) == 1:
        return np.zeros(1, np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(vectors, method="average", metric="cosine")
    return np.asarray(fcluster(tree, 1 - least, criterion="distance"), np.int64) - 1
