"""Samples spoken while training goes on, and what the judges hear in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from vc_core import files
from vc_core.audio import TTS_RATE, Samples
from vc_speech import encoders, label, watermark, whisper
from vc_speech.judge import Judge, means
from vc_speech.training.rows import Row
from vc_speech.training.trackers import Trackers
from vc_speech.tts import Said

TARGET_CLIPS = 12  # enough for a centroid that more would hardly move
THREADS = 4  # of Whisper, which hears on the CPU: the GPU's memory is the training's

# Says every text by its own seed, as vc_speech.tts.Voice.speak does.
Say = Callable[[Sequence[str], Sequence[int]], list[Said]]


class Listener:
    """Lets a model in training say sentences, and judges each."""

    def __init__(
        self,
        target: Sequence[Samples],
        texts: Sequence[str],
        *,
        listener: str,
        encoder: str,
        language: str,
        seed: int,
        model: str,
    ) -> None:
        """Load the judges.

        ``target`` are recordings of the speaker at 24 kHz, TARGET_CLIPS of them will do; ``texts``
        what is to be said. ``listener`` and ``encoder`` name the transcriber and the speaker
        encoder. ``seed`` is the first text's, and the next one's is one more; ``model`` stands in
        the samples' label.
        """
        self._texts = texts
        self._seed = seed
        self._model = model
        watermark.check()
        self._judge = Judge(
            encoders.load(encoder),
            whisper.load(listener, "cpu", THREADS),
            target,
            language,
        )

    def listen(self, say: Say, step: int, folder: Path, trackers: Trackers) -> Row:
        """Similarity, word error rate, DNSMOS and share of ends found, over all sentences.

        The samples, marked and labelled as synthetic, go to ``folder/step-000250``.
        """
        said = say(self._texts, range(self._seed, self._seed + len(self._texts)))
        verdicts = []
        with files.atomic_folder(folder / f"step-{step:06d}") as partial:
            for index, (text, speech) in enumerate(zip(self._texts, said, strict=True)):
                marked = watermark.mark(speech.samples, TTS_RATE)
                label.write(partial / f"{index:02d}.wav", marked, self._model)
                trackers.sound(f"sample {index}", marked, step)
                verdicts.append(self._judge.judge(marked, text))
        told = means(verdicts, self._seed)
        return {
            "similarity": told.similarity,
            "wer": told.wer,
            "dnsmos": told.dnsmos,
            "stop_rate": round(sum(speech.stopped_by_itself for speech in said) / len(said), 4),
        }
