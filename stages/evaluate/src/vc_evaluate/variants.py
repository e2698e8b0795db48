"""The models that speak: base and adapter, with and without the reference as context."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from vc_common import audio, csm, mimi, watermark, whisper
from vc_common.audio import ENGINE_RATE, TTS_RATE, Samples
from vc_common.csm import Csm, Utterance
from vc_common.errors import InputError

LABEL = "Synthetic speech. No person said this."


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


def context(
    model: Csm, reference: Path, said: str, hear: whisper.Transcriber, language: str
) -> Utterance:
    """The reference as CSM takes it: text and codes.

    Without ``said`` the text is what Whisper hears; raises InputError when that is nothing.
    """
    samples, _ = audio.read(reference, TTS_RATE)
    said = said or hear.hear(audio.resample(samples, TTS_RATE, ENGINE_RATE), language).text
    if not said:
        raise InputError(f"{reference}: no words are heard; give them with --reference-text")
    return Utterance(said, mimi.encode(csm.base_of(model.model).codec_model, samples))


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


def write(path: Path, samples: Samples) -> None:
    """Write speech as 24 kHz mono WAV with the label that it is synthetic in its header."""
    path.parent.mkdir(exist_ok=True)
    with soundfile.SoundFile(path, "w", TTS_RATE, channels=1, subtype="PCM_16") as file:
        file.comment = LABEL
        # Many players refuse a file without any sample, so saying nothing is a moment of silence.
        file.write(samples if samples.size else np.zeros(TTS_RATE // 10, dtype=np.float32))


@contextlib.contextmanager
def _without_adapter(model: Csm) -> Iterator[None]:
    """The base model, from the weights that are loaded already."""
    with model.model.disable_adapter():
        yield
