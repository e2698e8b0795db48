"""Who judges: engines that nothing was chosen by, and beside them the encoder that training used.

What a checkpoint is chosen by flatters it, so that encoder's figure is told and never heads.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vc_core import audio, files
from vc_core.audio import ENGINE_RATE, TTS_RATE, Samples
from vc_core.errors import InputError
from vc_evaluate.options import EvaluateOptions
from vc_speech import speakers
from vc_speech.judge import Judge, Verdict, means
from vc_speech.speakers import SpeakerEncoder, Vector


class Likeness:
    """How like the target's voice an encoder finds speech."""

    def __init__(self, encoder: SpeakerEncoder, target: Sequence[Samples]) -> None:
        """``target`` are recordings of the speaker at 24 kHz: their centroid is compared with."""
        self._encoder = encoder
        self._target = target

    def of(self, samples: Samples) -> float:
        """The cosine of 24 kHz ``samples``; sound without anything in it is like nobody: 0."""
        if not samples.size or not np.any(samples):
            return 0.0
        return speakers.cosine(self._embed(samples), self._centroid)

    def ranked(self, voices: Mapping[str, Sequence[Samples]]) -> dict[str, float]:
        """The mean cosine of each voice that says something, the most alike first."""
        told = {
            name: float(np.mean([self.of(samples) for samples in said]))
            for name, said in voices.items()
            if len(said)
        }
        return dict(sorted(told.items(), key=lambda one: (-one[1], one[0])))

    @functools.cached_property
    def _centroid(self) -> Vector:
        return speakers.centroid(np.stack([self._embed(part) for part in self._target]))

    def _embed(self, samples: Samples) -> Vector:
        return self._encoder.embed(audio.resample(samples, TTS_RATE, ENGINE_RATE))


@dataclasses.dataclass(frozen=True)
class Opinion:
    """The judge's verdict of one utterance, and its likeness as training's encoder hears it."""

    verdict: Verdict
    training: float


@dataclasses.dataclass(frozen=True)
class Panel:
    """The judge, and training's encoder beside it."""

    judge: Judge
    training: Likeness

    def hear(self, samples: Samples, asked: str | None) -> Opinion:
        """What both say of 24 kHz ``samples`` that should say ``asked``, None for no text."""
        return Opinion(self.judge.judge(samples, asked), self.training.of(samples))


def figures(opinions: Sequence[Opinion], seed: int) -> dict[str, Any]:
    """Means over utterances, with their intervals."""
    told = means([opinion.verdict for opinion in opinions], seed)
    beside = float(np.mean([opinion.training for opinion in opinions]))
    return {**dataclasses.asdict(told), "training_similarity": round(beside, 4)}


def training_encoder(adapter: Path, options: EvaluateOptions) -> str:
    """The encoder that training used: as the adapter's training.json tells, or else the option.

    Raises InputError where it is the one that is to judge.
    """
    path = adapter / "training.json"
    told = files.read_json(path) if path.is_file() else {}
    chose = str(told.get("encoder") or "") if isinstance(told, dict) else ""
    name = chose or options.encoder
    if name != options.judge_encoder:
        return name
    why = f"{path}: {name} chose the checkpoint" if chose else f"--encoder: training uses {name}"
    raise InputError(
        f"{why}, so it must not judge the voice; name another speaker encoder as --judge-encoder "
        "(models.judge_encoder)"
    )
