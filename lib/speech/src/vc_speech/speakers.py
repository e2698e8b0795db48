"""Speaker embeddings: unit vectors whose cosine says how alike two voices are.

An encoder is named ``package:campplus``, ``package:resemblyzer``, ``hub:ID-or-folder`` for an
x-vector model of the Hugging Face Hub, or as an installed package offers it: see ``engines``.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from vc_core.audio import Samples
from vc_core.errors import InputError

Vector = npt.NDArray[np.float32]
Auto = Literal["auto"]


@dataclass(frozen=True)
class Thresholds:
    """What this encoder's figures mean, measured on speech of known speakers.

    ``clip``: least cosine of a clip of a second or more to its speaker's reference. ``voice``:
    least cosine of a speaker's centroid within a recording to the reference. ``slice``: least
    likeness of any stretch of a reference to its rest. ``person``: cosine distance up to which
    pieces of speech are clustered as one person's (average linkage).
    """

    clip: float
    voice: float
    slice: float
    person: float


class SpeakerEncoder(Protocol):
    """What embeds speech. ``window`` is the shortest audio, in seconds, that serves it well.

    ``thresholds`` is None for an encoder whose scale nobody has measured.
    """

    window: float
    thresholds: Thresholds | None

    def embed(self, samples: Samples) -> Vector:
        """One unit vector [dim] for 16 kHz mono ``samples`` [frames] of any length above 0."""
        ...

    def embed_windows(self, samples: Samples, step: float) -> tuple[Vector, Vector]:
        """Vectors of windows every ``step`` seconds: centres in seconds [n], vectors [n, dim].

        A window is ``window`` seconds long and lies within ``samples``; shorter samples give one.
        """
        ...


def threshold(
    encoder: SpeakerEncoder,
    kind: Literal["clip", "voice", "slice"],
    given: float | Auto,
    option: str,
) -> float:
    """The ``given`` number, or for auto the encoder's own.

    Raises InputError, naming the ``option`` to set, where the encoder has none.
    """
    if given != "auto":
        return given
    if encoder.thresholds is None:
        raise InputError(
            f"{option}: auto needs an encoder whose scale is known; for this one give a cosine"
        )
    return {
        "clip": encoder.thresholds.clip,
        "voice": encoder.thresholds.voice,
        "slice": encoder.thresholds.slice,
    }[kind]


def cosine(a: Vector, b: Vector) -> float:
    """Cosine of the angle between two vectors, in [-1, 1]."""
    return float(np.dot(a, b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))


def centroid(vectors: Vector) -> Vector:
    """The unit vector nearest to all rows of ``vectors`` [n, dim]."""
    mean = vectors.mean(axis=0)
    out: Vector = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return out
