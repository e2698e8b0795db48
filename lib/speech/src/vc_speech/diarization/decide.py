"""Whose each piece is: a hidden Markov model over the people of the recording.

What a piece says for a person is the cosine of its embedding to that person's voice, weighed by
how noisy the embedding of so short a piece is. What its neighbours say comes through the
transitions: the voice seldom changes where the segmentation model heard no change. The decision
score of a piece is the log of the odds, given the whole recording, that it is a person's.
"""

from dataclasses import dataclass

import numpy as np

from vc_speech.diarization.pieces import SHORTEST, Pieces
from vc_speech.speakers import Vector

FREEDOM = 60.0  # effective dimensions of the embeddings' noise: fewer make the decision softer
ROUNDS = 3  # of naming the pieces and describing the voices anew
LEAST_SWITCH, MOST_SWITCH = 0.1, 0.8  # chance of another voice where no, and every, chunk hears one
APART_SWITCH = 0.5  # ... where no chunk heard both pieces
STRANGER = 0.02  # chance that a piece is of nobody known
DOUBTFUL = 15.0  # nats of lead below which a long piece may hold two voices
DIVISIBLE = 1.2  # seconds of a piece that can be looked at in halves
Numbers = np.typing.NDArray[np.float64]
Flags = np.typing.NDArray[np.bool_]
Labels = np.typing.NDArray[np.int64]


@dataclass(frozen=True)
class Noise:
    """Noise of embeddings: its power is ``fixed`` and ``fading``, which falls with the length."""

    fixed: float
    fading: float

    def likeness(self, seconds: Vector) -> Numbers:
        """Expected cosine of a piece so many ``seconds`` long to its own speaker's voice."""
        power = self.fixed + self.fading / np.maximum(seconds, SHORTEST)
        out: Numbers = 1 / np.sqrt(1 + power)
        return out

    def weight(self, seconds: Vector) -> Numbers:
        """Nats that a difference of 1 in the cosine is worth."""
        likeness = self.likeness(seconds)
        out: Numbers = FREEDOM * likeness / (1 - likeness**2)
        return out


@dataclass(frozen=True)
class Decision:
    """Odds and voices. ``odds`` [n, people]: log-odds of each piece to be each person's.

    ``likeness`` [n, people] are its cosines to their ``voices`` [people, dim].
    """

    odds: Numbers
    likeness: Vector
    voices: Vector
    noise: Noise
    between: float

    @property
    def person(self) -> Labels:
        """Whose each piece rather is [n]; -1 for nobody known."""
        known = (self.odds > 0).any(axis=1)
        return np.where(known, self.odds.argmax(axis=1), -1)

    def boundary(self, seconds: float) -> float:
        """The cosine to a voice from which a piece so long is rather that voice's, left alone."""
        return float(_nobody(self.noise, np.array([seconds], np.float32), self.between)[0])


def decide(pieces: Pieces, labels: Labels, between: float) -> Decision:
    """Name all ``pieces``, beginning with the clusters' ``labels``.

    ``between`` is how alike two people's voices can be in this recording.
    """
    kinds = np.unique(labels[labels >= 0])
    shares = (labels[:, None] == kinds).astype(np.float64)
    told = pieces.seconds >= SHORTEST
    for _ in range(ROUNDS):
        voices = _voices(pieces, shares)
        likeness = pieces.vectors @ voices.T
        noise = fit_noise(
            (shares * likeness).sum(axis=1), shares.sum(axis=1) * told, pieces.seconds
        )
        evidence = _evidence(likeness, noise, pieces.seconds, told, between)
        odds = log_odds(evidence, pieces.switched)
        shares = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
    return Decision(odds, likeness.astype(np.float32), voices, noise, between)


def fit_noise(likeness: Numbers, shares: Numbers, seconds: Vector) -> Noise:
    """Noise power as a line in 1 / seconds, from each piece's cosine to its own voice."""
    mine = shares > 0.5
    if not mine.any():
        return Noise(0.3, 0.6)
    inverse = 1 / np.maximum(seconds[mine], SHORTEST)
    # The median of each third by length keeps the few misnamed pieces from bending the line.
    power = 1 / np.clip(likeness[mine], 0.1, 1) ** 2 - 1
    order = np.array_split(np.argsort(inverse), 3)
    points = [(np.median(inverse[part]), np.median(power[part])) for part in order if len(part)]
    x, y = np.array(points).T
    slope = 0.0
    if np.ptp(x) > 1e-6:
        slope = max(float(np.polyfit(x, y, 1)[0]), 0.0)
    fixed = max(float(np.mean(y) - slope * np.mean(x)), 0.05)
    return Noise(fixed, slope)


def log_odds(evidence: Numbers, switched: Vector) -> Numbers:
    """Log-odds [n, people] of each state but the last, by the forward-backward algorithm.

    ``evidence`` [n, people + 1] are log-likelihoods; the last state is nobody known.
    """
    count, states = evidence.shape
    known = np.full(states - 1, (1 - STRANGER) / (states - 1))
    prior = np.append(known, STRANGER)
    forward, backward = np.empty_like(evidence), np.zeros_like(evidence)
    forward[0] = np.log(prior) + evidence[0]
    steps = [_transitions(prior, share) for share in switched]
    for n in range(1, count):
        forward[n] = evidence[n] + np.logaddexp.reduce(forward[n - 1][:, None] + steps[n], axis=0)
    for n in range(count - 2, -1, -1):
        later = steps[n + 1] + evidence[n + 1] + backward[n + 1]
        backward[n] = np.logaddexp.reduce(later, axis=1)
    both = forward + backward
    odds = [
        both[:, k] - np.logaddexp.reduce(np.delete(both, k, axis=1), axis=1)
        for k in range(states - 1)
    ]
    return np.stack(odds, axis=1)


def _transitions(prior: Numbers, switched: float) -> Numbers:
    """Log-chances [from, to] after a voice change heard with this share; nan: not known."""
    if np.isnan(switched):
        chance = APART_SWITCH
    else:
        chance = LEAST_SWITCH + (MOST_SWITCH - LEAST_SWITCH) * switched
    others = np.tile(prior, (len(prior), 1))
    np.fill_diagonal(others, 0)
    others *= chance / others.sum(axis=1, keepdims=True)
    np.fill_diagonal(others, 1 - chance)
    out: Numbers = np.log(others)
    return out


def _voices(pieces: Pieces, shares: Numbers) -> Vector:
    """Unit vectors [people, dim]: means of their pieces, long ones counting for more."""
    sums = (shares * pieces.seconds[:, None]).T @ pieces.vectors
    out: Vector = (sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)).astype(
        np.float32
    )
    return out


def _nobody(noise: Noise, seconds: Vector, between: float) -> Numbers:
    """The cosine to a voice half way between its own pieces and those of a stranger."""
    out: Numbers = noise.likeness(seconds) * (1 + between) / 2
    return out


def _evidence(
    likeness: Vector,
    noise: Noise,
    seconds: Vector,
    told: Flags,
    between: float,
) -> Numbers:
    """Log-likelihoods [n, people + 1]; pieces too short to tell say nothing."""
    said = np.column_stack([likeness, _nobody(noise, seconds, between)])
    out: Numbers = said * (noise.weight(seconds) * told)[:, None]
    return out


def doubtful(pieces: Pieces, decision: Decision) -> Flags:
    """Flags [n] of long pieces that sound like two voices nearly alike: they may hold both."""
    likeness = np.sort(decision.likeness, axis=1)
    if likeness.shape[1] < 2:
        return np.zeros(len(likeness), bool)
    lead = (likeness[:, -1] - likeness[:, -2]) * decision.noise.weight(pieces.seconds)
    return np.asarray((lead < DOUBTFUL) & (pieces.seconds >= DIVISIBLE), bool)
