"""Speaker embeddings: vectors whose cosine says how alike two voices are."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from vc_common import models
from vc_common.audio import ENGINE_RATE, Samples
from vc_common.errors import InputError

Vector = npt.NDArray[np.float32]

DEFAULT_ENCODER = "package:resemblyzer"
WINDOW = 1.6  # seconds: what the GE2E encoder was trained on
LEVEL_DB = -30.0  # dBFS: the level its training audio was raised to


class SpeakerEncoder:
    """Resemblyzer's GE2E encoder (Wan et al. 2018): unit vectors of 256 numbers."""

    def __init__(self, name: str = DEFAULT_ENCODER, device: str = "cpu") -> None:
        folder = models.resolve(name)
        if name != DEFAULT_ENCODER:
            raise InputError(f"speaker encoder {name!r}: not known; there is: {DEFAULT_ENCODER}")
        with contextlib.redirect_stdout(io.StringIO()):
            from resemblyzer import VoiceEncoder

            self._encoder: Any = VoiceEncoder(
                device, verbose=False, weights_fpath=f"{folder}/pretrained.pt"
            )

    def embed(self, samples: Samples) -> Vector:
        """One unit vector [256] for 16 kHz mono ``samples`` [frames].

        Audio shorter than the encoder's window is repeated to fill it: padding with silence
        would move the vector.
        """
        short = round(WINDOW * ENGINE_RATE) / max(len(samples), 1)
        if short > 1:
            samples = np.tile(samples, int(np.ceil(short)))[: round(WINDOW * ENGINE_RATE)]
        with one_thread():
            vector: Vector = self._encoder.embed_utterance(_levelled(samples))
        return vector

    def embed_windows(self, samples: Samples, step: float) -> tuple[Vector, Vector]:
        """Vectors of sliding 1.6 s windows: their centres in seconds [n] and vectors [n, 256]."""
        if len(samples) < WINDOW * ENGINE_RATE:
            samples = np.pad(samples, (0, round(WINDOW * ENGINE_RATE) - len(samples)))
        with one_thread():
            _, vectors, slices = self._encoder.embed_utterance(
                _levelled(samples), return_partials=True, rate=1 / step, min_coverage=1.0
            )
        centres = np.array([(s.start + s.stop) / 2 / ENGINE_RATE for s in slices], np.float32)
        return centres, np.asarray(vectors, np.float32)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Small LSTMs are faster on one thread than on several: see benchmarks/engines.py."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def cosine(a: Vector, b: Vector) -> float:
    """Cosine of the angle between two vectors, in [-1, 1]."""
    return float(np.dot(a, b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))


def centroid(vectors: Vector) -> Vector:
    """The unit vector nearest to all rows of ``vectors`` [n, dim]."""
    mean = vectors.mean(axis=0)
    out: Vector = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return out


def _levelled(samples: Samples) -> Samples:
    """Raise quiet audio to the level of the encoder's training data; never lower it."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0
    gain = 10 ** (LEVEL_DB / 20) / max(rms, 1e-6)
    return samples * np.float32(gain) if gain > 1 and rms > 1e-6 else samples
