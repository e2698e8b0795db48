"""Pieces of speech: cut where voices may change, and embedded."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vc_core import log
from vc_core.audio import Samples
from vc_speech.diarization.activity import (
    CHANGE_TOLERANCE,
    FRAME,
    Flags,
    Heard,
    Shares,
    flagged_runs,
    to_frame,
)
from vc_speech.overlap import STEP
from vc_speech.speakers import SpeakerEncoder, Vector

SHORTEST = 0.3  # seconds from which an embedding says anything
LONGEST = 2.5  # seconds of a piece: longer speech without a pause may hide a change of voice
PART = 0.7  # seconds that a short pause must leave on both sides to be cut at
PAUSE = 0.06  # seconds of the shortest pause that is cut at
HALF = 0.5  # seconds that each half of a doubtful piece must have
TOGETHER = 5.0  # seconds apart in which the segmentation model hears two pieces at once


Indices = np.typing.NDArray[np.int64]


@dataclass(frozen=True)
class Pieces:
    """Stretches of speech without overlap, in order.

    ``spans`` [n, 2] are first frame and the frame after the last; ``vectors`` [n, dim] their
    embeddings, zero where a piece is too short for one; ``switched`` [n] how likely, by the
    segmentation model, the voice changed since the piece before (nan: it did not hear both).
    """

    spans: Indices
    vectors: Vector
    switched: Shares

    @property
    def seconds(self) -> Shares:
        """How long each is [n]."""
        return ((self.spans[:, 1] - self.spans[:, 0]) * STEP).astype(np.float32)


def find(samples: Samples, heard: Heard, encoder: SpeakerEncoder) -> Pieces:
    """The pieces of 16 kHz ``samples``, each embedded once."""
    spans = cut(heard)
    vectors = []
    for first, last in log.progress(spans, desc="voices", unit="piece"):
        told = (last - first) * STEP >= SHORTEST
        vectors.append(encoder.embed(samples[first * FRAME : last * FRAME]) if told else None)
    size = next((len(vector) for vector in vectors if vector is not None), 1)
    nothing = np.zeros(size, np.float32)
    return Pieces(
        np.array(spans, np.int64).reshape(-1, 2),
        np.stack([nothing if vector is None else vector for vector in vectors] or [nothing])[
            : len(spans)
        ],
        switches(spans, heard),
    )


def halved(
    samples: Samples, pieces: Pieces, doubtful: Flags, encoder: SpeakerEncoder
) -> tuple[Pieces, Indices]:
    """The same pieces, with the ``doubtful`` [n] ones in two, and where each came from [m].

    They are cut where they are quietest, as far as both halves can be told.
    """
    spans, vectors, switched, origin = [], [], [], []
    for number, (first, last) in enumerate(pieces.spans.tolist()):
        if not doubtful[number]:
            spans.append((first, last))
            vectors.append(pieces.vectors[number])
            switched.append(pieces.switched[number])
            origin.append(number)
            continue
        middle = _quietest(samples, first + to_frame(HALF), last - to_frame(HALF))
        for start, end in ((first, middle), (middle, last)):
            spans.append((start, end))
            vectors.append(encoder.embed(samples[start * FRAME : end * FRAME]))
            # Whether the voice changes within is what is being asked.
            switched.append(pieces.switched[number] if start == first else np.float32(np.nan))
            origin.append(number)
    found = Pieces(np.array(spans, np.int64), np.stack(vectors), np.array(switched, np.float32))
    return found, np.array(origin)


def _quietest(samples: Samples, first: int, last: int) -> int:
    """The frame around which a tenth of a second is quietest, of [first, last)."""
    power = np.square(samples[first * FRAME : last * FRAME]).reshape(-1, FRAME).mean(axis=1)
    return first + int(np.convolve(power, np.ones(to_frame(0.1)), mode="same").argmin())


def cut(heard: Heard) -> list[tuple[int, int]]:
    """Speech without overlap, cut at changes and pauses, long pieces in equal parts."""
    spans: list[tuple[int, int]] = []
    for first, last in flagged_runs(heard.speech & ~heard.overlap):
        changes = (np.flatnonzero(heard.changes[first:last]) + first).tolist()
        edges = [first, *(at for at in changes if at > first), last]
        for whole in pairwise(edges):
            for start, end in _at_pauses(whole, heard.pauses):
                parts = max(1, int(np.ceil((end - start) * STEP / LONGEST)))
                inner = np.linspace(start, end, parts + 1).round().astype(int).tolist()
                spans += pairwise(inner)
    return spans


def _at_pauses(whole: tuple[int, int], pauses: Flags) -> list[tuple[int, int]]:
    """A stretch cut in the middle of its pauses, the longest first, as far as parts allow."""
    first, last = whole
    least, spans = to_frame(PART), [whole]
    inside = [(a + first, b + first) for a, b in flagged_runs(pauses[first:last])]
    for a, b in sorted(inside, key=lambda run: run[0] - run[1]):
        middle = (a + b) // 2
        for number, (start, end) in enumerate(spans):
            if middle - start >= least and end - middle >= least and b - a >= to_frame(PAUSE):
                spans[number : number + 1] = [(start, middle), (middle, end)]
                break
    return spans


def switches(spans: list[tuple[int, int]], heard: Heard) -> Shares:
    """How likely the voice changed between each piece and the one before it [n]."""
    slack = to_frame(CHANGE_TOLERANCE)
    out = np.full(len(spans), np.nan, np.float32)
    for number, ((_, before), (after, _)) in enumerate(pairwise(spans), start=1):
        if (after - before) * STEP <= TOGETHER:
            out[number] = heard.switched[max(before - slack, 0) : after + slack + 1].max()
    return out
