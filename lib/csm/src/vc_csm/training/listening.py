"""Samples spoken while training goes on, and what the judges hear in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vc_core import files
from vc_core.audio import TTS_RATE
from vc_core.manifests import spread
from vc_csm import csm, mimi
from vc_csm.options import CsmSpeaking
from vc_csm.training.data import Clips
from vc_csm.training.trackers import Trackers
from vc_speech import encoders, label, watermark, whisper
from vc_speech.judge import Judge, means

TARGET_CLIPS = 12  # enough for a centroid that more would hardly move
THREADS = 4  # of Whisper, which hears on the CPU: the GPU's memory is the training's


class Listener:
    """Lets the model say sentences of the validation split, and judges each."""

    def __init__(
        self,
        model: csm.Csm,
        clips: Clips,
        count: int,
        *,
        listener: str,
        encoder: str,
        language: str,
        seed: int,
    ) -> None:
        """Load the judges, and the target's voice as its own codec renders it."""
        codec = csm.base_of(model.model).codec_model
        target = [
            mimi.decode(codec, example.clip.codes) for example in spread(clips.train, TARGET_CLIPS)
        ]
        self._texts = [example.clip.text for example in spread(clips.validation, count)]
        self._seed = seed
        self._slowest = csm.SLOW_SHARE * clips.letters_a_second()
        watermark.check()
        self._judge = Judge(
            encoders.load(encoder),
            whisper.load(listener, "cpu", THREADS),
            target,
            language,
        )

    def listen(self, model: csm.Csm, step: int, folder: Path, trackers: Trackers) -> dict[str, Any]:
        """Similarity, word error rate and share of ends found, over all sentences.

        The samples, marked and labelled as synthetic, go to ``folder/step-000250``.
        """
        model.model.eval()
        seeds = range(self._seed, self._seed + len(self._texts))
        speaker = csm.Speaker(model, [], CsmSpeaking.model_validate({}), self._slowest)
        said = speaker.say(self._texts, seeds)
        verdicts = []
        with files.atomic_folder(folder / f"step-{step:06d}") as partial:
            for index, (text, speech) in enumerate(zip(self._texts, said, strict=True)):
                marked = watermark.mark(speech.samples, TTS_RATE)
                label.write(partial / f"{index:02d}.wav", marked, model.name)
                trackers.sound(f"sample {index}", marked, step)
                verdicts.append(self._judge.judge(marked, text))
        told = means(verdicts, self._seed)
        return {
            "similarity": told.similarity,
            "wer": told.wer,
            "dnsmos": told.dnsmos,
            "stop_rate": round(sum(speech.stopped_by_itself for speech in said) / len(said), 4),
        }
