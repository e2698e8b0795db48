"""The models that speak: base and adapter, with and without the reference as context."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vc_common import csm, watermark
from vc_common.audio import TTS_RATE, Samples
from vc_common.csm import Csm, Utterance


@dataclass(frozen=True)
class Spoken:
    """One utterance at 24 kHz, watermarked, and the seconds that speaking it took."""

    samples: Samples
    stopped_by_itself: bool
    took: float


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn."""

    seed: int
    temperature: float
    top_k: int


def speak(
    model: Csm, variant: str, reference: Sequence[Utterance], asked: str, how: Sampling
) -> Spoken:
    """Say ``asked`` as one of ``base``, ``lora``, each with or without ``+context``."""
    with contextlib.nullcontext() if variant.startswith("lora") else _without_adapter(model):
        started = time.perf_counter()
        speech = csm.speak(
            model,
            asked,
            reference if variant.endswith("+context") else (),
            seed=how.seed,
            temperature=how.temperature,
            top_k=how.top_k,
        )
        took = time.perf_counter() - started
    return Spoken(watermark.mark(speech.samples, TTS_RATE), speech.stopped_by_itself, took)


@contextlib.contextmanager
def _without_adapter(model: Csm) -> Iterator[None]:
    """The base model, from the weights that are loaded already."""
    with model.model.disable_adapter():
        yield
