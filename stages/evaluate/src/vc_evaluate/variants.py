"""The models that speak: base and adapter, with and without the reference as context."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vc_core.audio import TTS_RATE, Samples
from vc_csm import csm
from vc_csm.csm import Csm, Utterance
from vc_speech import watermark


@dataclass(frozen=True)
class Spoken:
    """One utterance at 24 kHz, watermarked."""

    samples: Samples
    stopped_by_itself: bool


@dataclass(frozen=True)
class Sampling:
    """How codes are drawn: by a seed more for every text, the same for every variant.

    Variants then differ by model, not by luck. ``letters_a_second`` is the slowest speech that
    is allowed for.
    """

    seed: int
    temperature: float
    top_k: int
    letters_a_second: float


def speak(
    model: Csm, variant: str, reference: Sequence[Utterance], asked: Sequence[str], how: Sampling
) -> tuple[list[Spoken], float]:
    """Say all texts as one of ``base``, ``lora``, each with or without ``+context``.

    Returns what was spoken and the seconds it took. The base speaks only before the adapter is
    merged into the weights.
    """
    with contextlib.nullcontext() if variant.startswith("lora") else _without_adapter(model):
        started = time.perf_counter()
        said = csm.speak_all(
            model,
            asked,
            reference if variant.endswith("+context") else (),
            seeds=range(how.seed, how.seed + len(asked)),
            temperature=how.temperature,
            top_k=how.top_k,
            letters_a_second=how.letters_a_second,
        )
        took = time.perf_counter() - started
    spoken = [
        Spoken(watermark.mark(speech.samples, TTS_RATE), speech.stopped_by_itself)
        for speech in said
    ]
    return spoken, took


@contextlib.contextmanager
def _without_adapter(model: Csm) -> Iterator[None]:
    """The base model, from the weights that are loaded already."""
    with model.model.disable_adapter():
        yield
