"""Texts to speech: files in a folder, or one stream to standard output."""

import dataclasses
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vc_core import audio, files, log, manifests
from vc_core.audio import TTS_RATE, Samples
from vc_speech import label, watermark
from vc_speech.tts import Request, Said, Voice
from vc_synthesize import sound, texts
from vc_synthesize.options import SynthesizeOptions
from vc_synthesize.texts import Part, Text

GROUP = 64  # texts that are batched together, and whose sound is held in memory

logger = log.get("synthesize")


@dataclasses.dataclass(frozen=True)
class Spoken:
    """One row of speech.jsonl.

    ``frames`` are the model's, those that trimming cut away too, over all ``parts`` in which the
    text was said; ``stopped_by_itself`` is False where the length limit ended one of them;
    ``watermark`` is False for speech too short to carry one, too.
    """

    file: str
    text: str
    seconds: float
    frames: int
    parts: int
    stopped_by_itself: bool
    tts: str
    base_model: str
    adapter: str
    context: str
    seed: int
    watermark: bool
    synthetic: bool = True


@dataclasses.dataclass(frozen=True)
class Speaker:
    """A voice that is ready to speak, the name of its family, and how it was asked for.

    ``marks`` says whether what it says is watermarked.
    """

    voice: Voice
    family: str
    request: Request
    options: SynthesizeOptions
    marks: bool

    def write(self, asked: Sequence[Text], output: Path) -> dict[str, Any]:
        """Say texts into the folder ``output``, with a row each in speech.jsonl; returns counts."""
        rows: list[Spoken] = []
        took = 0.0
        with files.atomic_folder(output) as partial:
            with log.progress(total=len(asked), desc="synthesize", unit="text") as progress:
                for first in range(0, len(asked), GROUP):
                    group = asked[first : first + GROUP]
                    started = time.perf_counter()
                    spoken = self._speak(group)
                    took += time.perf_counter() - started
                    for text, said in zip(group, spoken, strict=True):
                        rows.append(self._write_one(partial, text, said))
                    progress.update(len(group))
            manifests.write_rows(partial / "speech.jsonl", rows)
        stopped = sum(row.stopped_by_itself for row in rows)
        seconds = round(sum(row.seconds for row in rows), 3)
        factor = round(took / seconds, 3) if seconds else None
        logger.info(
            "wrote %s (%d texts, %.1f s, %d ended by themselves, real-time factor %s)",
            *(output, len(rows), seconds, stopped, factor),
        )
        return {
            "device": self.voice.device,
            "texts": len(rows),
            "parts": sum(row.parts for row in rows),
            "seconds": seconds,
            "speaking_seconds": round(took, 3),
            "real_time_factor": factor,
            "stopped_by_itself": stopped,
            "watermark": self.marks,
        }

    def stream(self, asked: Sequence[Text]) -> dict[str, Any]:
        """Say texts into one WAV on standard output while they are being spoken.

        A reader that goes away ends it quietly.
        """
        started = time.perf_counter()
        out = sound.WavStream(
            sys.stdout.buffer, self.voice.rate, self.request.base_model, self.marks
        )
        try:
            out.open()
            for piece in self._pieces(asked):
                out.write(piece)
            out.close()
        except BrokenPipeError:
            # Python would complain again when it closes what it cannot write to.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            logger.info("the reader went away")
        took = time.perf_counter() - started
        if out.first_sound is not None:
            logger.info(
                "streamed %.1f s, the first sound after %.2f s, real-time factor %.3f",
                *(out.seconds, out.first_sound - started, took / out.seconds),
            )
        return {"device": self.voice.device, "seconds": round(out.seconds, 3)}

    def _pieces(self, asked: Sequence[Text]) -> Iterator[Samples]:
        """All texts piece by piece, with the pauses between them."""
        rate = self.voice.rate
        for number, text in enumerate(asked):
            if number:
                yield _silence(texts.AFTER_PARAGRAPH, rate)
            for part in self._parts(text):
                passing = sound.Trim(rate) if self.options.trim else sound.Chain()
                for piece in self.voice.stream(part.text, part.seed):
                    yield passing.feed(piece)
                yield passing.close()
                yield _silence(part.pause, rate)

    def _parts(self, text: Text) -> list[Part]:
        return texts.parts_of(text, self.voice.letters, self.options.language)

    def _speak(self, asked: Sequence[Text]) -> list[list[tuple[Part, Said]]]:
        """The parts of every text, said; those of all texts share the batches."""
        parts = [self._parts(text) for text in asked]
        flat = [part for each in parts for part in each]
        said = iter(self.voice.speak([part.text for part in flat], [part.seed for part in flat]))
        return [[(part, next(said)) for part in each] for each in parts]

    def _write_one(self, folder: Path, text: Text, spoken: Sequence[tuple[Part, Said]]) -> Spoken:
        """Join the parts of one text, mark them, write the file; returns its row."""
        rate, request = self.voice.rate, self.request
        pieces = []
        for part, said in spoken:
            heard = sound.trimmed(said.samples, rate) if self.options.trim else said.samples
            pieces += [heard, _silence(part.pause, rate)]
            if not said.frames:
                logger.warning("text %s: the model ended at once and said nothing", text.name)
        joined = audio.resample(np.concatenate(pieces), rate, TTS_RATE)
        marked = watermark.mark(joined, TTS_RATE) if self.marks else joined
        file = f"{text.name}.wav"
        label.write(folder / file, marked, request.base_model)
        return Spoken(
            file=file,
            text=text.text,
            seconds=round(len(marked) / TTS_RATE, 3),
            frames=sum(said.frames for _, said in spoken),
            parts=len(spoken),
            stopped_by_itself=all(said.stopped_by_itself for _, said in spoken),
            tts=self.family,
            base_model=request.base_model,
            adapter=request.adapter,
            context=str(request.context_audio or ""),
            seed=text.seed,
            watermark=marked is not joined,
        )


def _silence(seconds: float, rate: int) -> Samples:
    return np.zeros(round(seconds * rate), dtype=np.float32)
