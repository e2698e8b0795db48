"""Speech to words with times and confidence: faster-whisper (CTranslate2)."""

from dataclasses import dataclass
from typing import Any

from vc_common import models
from vc_common.audio import Samples
from vc_common.errors import InputError, TryAgainError

DEFAULT_MODEL = "package:whisper-base"


@dataclass(frozen=True)
class HeardWord:
    """A word in [start, end) seconds with its probability in [0, 1]."""

    start: float
    end: float
    word: str
    confidence: float


@dataclass(frozen=True)
class Heard:
    """What Whisper made of a piece of audio.

    ``no_speech`` is the largest no-speech probability of its segments, ``compression`` their
    largest compression ratio: text that repeats itself compresses well.
    """

    text: str
    words: list[HeardWord]
    no_speech: float
    compression: float


class Transcriber:
    """A Whisper model by packaged name, folder (CTranslate2) or Hub id."""

    def __init__(self, name: str = DEFAULT_MODEL, device: str = "auto", threads: int = 0) -> None:
        from faster_whisper import WhisperModel

        found = models.resolve(name)
        on_cuda = device == "cuda" or (device == "auto" and _has_cuda())
        self.device = "cuda" if on_cuda else "cpu"
        try:
            self._model: Any = WhisperModel(
                found,
                device=self.device,
                compute_type="float16" if on_cuda else "int8",
                cpu_threads=threads,
            )
        except (ConnectionError, TimeoutError) as error:
            raise TryAgainError(f"model {name!r}: the Hub did not answer ({error})") from None
        except Exception as error:
            # The Hub client raises a family of its own for unknown, gated and offline models.
            raise InputError(f"model {name!r}: cannot be loaded ({_first_line(error)})") from None

    def language_of(self, samples: Samples) -> tuple[str, float]:
        """The language heard in 16 kHz ``samples`` and its probability."""
        if not self._model.model.is_multilingual:
            return "en", 1.0
        language, probability, _ = self._model.detect_language(samples)
        return str(language), float(probability)

    def hear(
        self,
        samples: Samples,
        language: str,
        fallback: bool = True,
        max_tokens: int | None = None,
    ) -> Heard:
        """Transcribe 16 kHz mono ``samples`` [frames], spoken in ``language``.

        Without ``fallback`` Whisper decodes once, at temperature 0: audio that is not speech
        then costs no repeated attempts. ``max_tokens`` bounds what it may write of 30 seconds,
        for it can repeat itself without end on what is not speech.
        """
        temperatures = [0.0, 0.2, 0.4, 0.6] if fallback else [0.0]
        segments, _ = self._model.transcribe(
            samples,
            language=language,
            beam_size=5,
            temperature=temperatures,
            max_new_tokens=max_tokens,
            word_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        rows = list(segments)
        words = [
            HeardWord(float(w.start), float(w.end), w.word, float(w.probability))
            for row in rows
            for w in row.words or []
        ]
        return Heard(
            text=" ".join(row.text.strip() for row in rows).strip(),
            words=words,
            no_speech=max((float(row.no_speech_prob) for row in rows), default=1.0),
            compression=max((float(row.compression_ratio) for row in rows), default=0.0),
        )


def _has_cuda() -> bool:
    import ctranslate2

    return bool(ctranslate2.get_cuda_device_count())


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]
