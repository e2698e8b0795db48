"""Speech to words with times and confidence: transcribers by name, faster-whisper among them."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from vc_core import devices, engines, models
from vc_core.audio import ENGINE_RATE, Samples
from vc_core.errors import InputError, TryAgainError

BEAMS = 5
TEMPERATURES = (0.0, 0.2, 0.4, 0.6)
REPETITIVE = 2.4  # compression ratio above which Whisper's authors distrust a text
UNLIKELY = -1.0  # mean log probability of the tokens below which they decode anew
NO_SPEECH = 0.6  # no-speech probability from which an unlikely text is taken for silence
BATCH_ON_CUDA = 16  # windows of 30 s at once; a CPU gains nothing from more than one
FRAME = 160  # samples in which faster-whisper counts where a window begins
APART = 500 * FRAME  # samples between the windows of a batch; see Transcriber.hear_all

Language = tuple[str, float]


@dataclass(frozen=True)
class HeardWord:
    """A word in [start, end) seconds with its probability in [0, 1]."""

    start: float
    end: float
    word: str
    confidence: float


@dataclass(frozen=True)
class Heard:
    """What a transcriber made of a piece of audio.

    ``no_speech`` is the largest no-speech probability of its segments, ``compression`` their
    largest compression ratio: text that repeats itself compresses well. ``likelihood`` is the
    smallest mean log probability of their tokens.
    """

    text: str
    words: list[HeardWord]
    no_speech: float
    compression: float
    likelihood: float = 0.0


class Engine(Protocol):
    """What a transcriber offers; ``samples`` are 16 kHz mono, 30 seconds at most.

    A package adds one by an entry point of the group ``voice_clone.transcriber``; it is made with
    the keywords ``argument``, ``device`` and ``threads``. One that hears several windows at once
    also has ``batch_size``, ``languages_of`` and ``hear_all``, like ``Transcriber``.
    """

    device: str

    def check_language(self, language: str) -> None:
        """Raise InputError unless the model knows the language, an ISO 639 code."""
        ...

    def language_of(self, samples: Samples) -> Language:
        """The language heard, as Whisper's code of it, and its probability."""
        ...

    def hear(
        self,
        samples: Samples,
        language: str,
        fallback: bool = True,
        max_tokens: int | None = None,
    ) -> Heard:
        """The words, spoken in ``language``, with times in seconds of ``samples``.

        Without ``fallback`` unclear audio is decoded once and not again; ``max_tokens`` bounds
        what may be written. A model that knows neither may leave both aside.
        """
        ...


def load(name: str, device: str = "auto", threads: int = 0) -> Engine:
    """The transcriber of that name: one that a package adds, else a faster-whisper model.

    ``device`` is auto, cpu or cuda; ``threads`` are the CPU's, 0 leaves them open.
    """
    found = engines.find(engines.TRANSCRIBERS, name)
    if found is None:
        return Transcriber(name, device, threads)
    make, argument = found
    engine: Engine = make(argument=argument, device=device, threads=threads)
    return engine


class Transcriber:
    """A Whisper model by packaged name, folder (CTranslate2) or Hub id.

    ``batch_size`` windows of 30 seconds are heard at once; 0 leaves that to the device.
    """

    def __init__(
        self,
        name: str,
        device: str = "auto",
        threads: int = 0,
        batch_size: int = 0,
    ) -> None:
        from faster_whisper import BatchedInferencePipeline

        found = models.resolve(name)
        self.device = devices.choose(device, _cuda_devices)
        on_cuda = self.device == "cuda"
        self.batch_size = batch_size or (BATCH_ON_CUDA if on_cuda else 1)
        try:
            self._model: Any = _remembering_model(
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
        self._name = name
        self._batches: Any = BatchedInferencePipeline(self._model)

    def check_language(self, language: str) -> None:
        """Raise InputError unless the model knows the language."""
        known = self._model.supported_languages
        if language not in known:
            raise InputError(
                f"model {self._name!r}: does not know the language {language!r}; "
                f"it knows: {', '.join(sorted(known))}"
            )

    def language_of(self, samples: Samples) -> Language:
        """The language heard in 16 kHz ``samples`` and its probability."""
        return self.languages_of([samples])[0]

    def languages_of(self, pieces: Sequence[Samples]) -> list[Language]:
        """The language heard in each of the pieces of 16 kHz audio, and its probability."""
        from faster_whisper.audio import pad_or_trim

        if not self._model.model.is_multilingual:
            return [("en", 1.0)] * len(pieces)
        # As the batches lay them out, so that the encoding is the one that hear_all asks for.
        features = [pad_or_trim(self._model.feature_extractor(p)[..., :-1]) for p in pieces]
        encoded = self._model.encode(np.stack(features))
        likeliest = [row[0] for row in self._model.model.detect_language(encoded)]
        return [(token[2:-2], float(probability)) for token, probability in likeliest]

    def hear_all(self, pieces: Sequence[Samples], language: str) -> list[Heard]:
        """Transcribe pieces of 16 kHz audio, 30 s each at most, as one batch in one language.

        A piece whose text repeats itself or is unlikely is decoded again, as ``hear`` does.
        """
        # A first word is trimmed by what was said before it. Pieces that lie far apart in the
        # audio are all trimmed alike, however they are batched.
        laid: list[Samples] = []
        clips, at = [], 0
        for piece in pieces:
            start = -(-(at + APART) // FRAME) * FRAME
            laid += [np.zeros(start - at, np.float32), piece]
            at = start + len(piece)
            clips.append({"start": start / ENGINE_RATE, "end": at / ENGINE_RATE})
        segments, _ = self._batches.transcribe(
            np.concatenate(laid),
            language=language,
            beam_size=BEAMS,
            word_timestamps=True,
            # Whisper's own timestamps split the window, and lose what follows the last of them.
            without_timestamps=True,
            clip_timestamps=clips,
            batch_size=len(pieces),
        )
        heard = [
            _as_heard([segment], clip["start"])
            for segment, clip in zip(segments, clips, strict=True)
        ]
        return [
            self.hear(piece, language) if _needs_another_try(one) else one
            for piece, one in zip(pieces, heard, strict=True)
        ]

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
        segments, _ = self._model.transcribe(
            samples,
            language=language,
            beam_size=BEAMS,
            temperature=TEMPERATURES if fallback else TEMPERATURES[:1],
            max_new_tokens=max_tokens,
            word_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        return _as_heard(list(segments), 0.0)


def compression(text: str) -> float:
    """How many times smaller zlib makes the text; Whisper's own measure of repetition."""
    stored = text.encode()
    return len(stored) / len(zlib.compress(stored))


def _remembering_model(name: str, **options: Any) -> Any:
    """A WhisperModel that encodes the same sound once, for its language and for its words."""
    from faster_whisper import WhisperModel

    class Remembering(WhisperModel):  # type: ignore[misc]
        def encode(self, features: Any) -> Any:
            last = getattr(self, "_last", None)
            batch = features if features.ndim == 3 else features[None]
            if last is None or not np.array_equal(last[0], batch):
                last = (batch, super().encode(batch))
                self._last = last
            return last[1]

    return Remembering(name, **options)


def _as_heard(segments: Sequence[Any], offset: float) -> Heard:
    """Segments of faster-whisper as ours, with times from ``offset`` seconds on."""
    words = [
        HeardWord(
            round(float(w.start) - offset, 3),
            round(float(w.end) - offset, 3),
            str(w.word),
            float(w.probability),
        )
        for segment in segments
        for w in segment.words or []
    ]
    return Heard(
        text=" ".join(segment.text.strip() for segment in segments).strip(),
        words=words,
        no_speech=max((float(segment.no_speech_prob) for segment in segments), default=1.0),
        compression=max((float(segment.compression_ratio) for segment in segments), default=0.0),
        likelihood=min((float(segment.avg_logprob) for segment in segments), default=0.0),
    )


def _needs_another_try(heard: Heard) -> bool:
    silence = heard.no_speech > NO_SPEECH and heard.likelihood < UNLIKELY
    return not silence and (heard.compression > REPETITIVE or heard.likelihood < UNLIKELY)


def _cuda_devices() -> int:
    import ctranslate2

    return int(ctranslate2.get_cuda_device_count())


def _first_line(error: Exception) -> str:
    return (str(error) or repr(error)).splitlines()[0]
