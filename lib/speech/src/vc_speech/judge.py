"""Judges of speech: whose voice it is, which words are heard, how clean it sounds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vc_core import audio
from vc_core.audio import ENGINE_RATE, TTS_RATE, Samples
from vc_speech import quality, speakers, text, vad, whisper
from vc_speech.speakers import Vector

RESAMPLES = 1000  # of the bootstrap
INTERVAL = (2.5, 97.5)  # percentiles
TOKENS_A_WORD, SPARE_TOKENS = 6, 16  # what Whisper may write: far more than any text needs

Interval = tuple[float, float]


@dataclass(frozen=True)
class Verdict:
    """What the judges say of one utterance. ``wer`` is None where no text was asked for."""

    similarity: float
    dnsmos: float
    wer: float | None
    words: int
    heard: str


@dataclass(frozen=True)
class Means:
    """Means over utterances with 95 % bootstrap intervals.

    ``wer`` counts all words together, so that a long text weighs more than a short one.
    """

    count: int
    similarity: float
    similarity_ci: Interval
    dnsmos: float
    dnsmos_ci: Interval
    wer: float | None
    wer_ci: Interval | None


class Judge:
    """The engines, and the target's voice as they know it."""

    def __init__(
        self,
        encoder: speakers.SpeakerEncoder,
        transcriber: whisper.Engine,
        target: Sequence[Samples],
        language: str,
    ) -> None:
        """``target`` are recordings of the speaker at 24 kHz: their centroid is compared with."""
        self._encoder = encoder
        self._transcriber = transcriber
        self._language = language
        self._centroid = speakers.centroid(np.stack([self._embed(part) for part in target]))

    def judge(self, samples: Samples, asked: str | None) -> Verdict:
        """Judge 24 kHz mono ``samples`` [frames]; ``asked`` is the text it should say.

        Sound without anything in it is like nobody: similarity 0, the worst DNSMOS, no words.
        """
        present = samples.size > 0 and bool(np.any(samples))
        low = audio.resample(samples, TTS_RATE, ENGINE_RATE) if present else samples
        similarity = speakers.cosine(self._embed(samples), self._centroid) if present else 0.0
        words = len(text.comparable(asked or "").split())
        heard = self._heard(low, words) if asked is not None else ""
        return Verdict(
            similarity=similarity,
            dnsmos=quality.dnsmos(low),
            wer=None if asked is None else text.word_error_rate([asked], [heard], self._language),
            words=words,
            heard=heard,
        )

    def _heard(self, low: Samples, words: int) -> str:
        """What Whisper hears in 16 kHz samples that should hold so many words.

        Where Silero finds no speech it is not asked, because it would invent some. It decodes
        once: speech that takes several attempts to be understood is not to be flattered by them.
        """
        if not vad.speech_spans(low):
            return ""
        most = SPARE_TOKENS + TOKENS_A_WORD * words
        return self._transcriber.hear(low, self._language, fallback=False, max_tokens=most).text

    def _embed(self, samples: Samples) -> Vector:
        return self._encoder.embed(audio.resample(samples, TTS_RATE, ENGINE_RATE))


def means(verdicts: Sequence[Verdict], seed: int) -> Means:
    """Average verdicts; raises ValueError when there is none."""
    if not verdicts:
        raise ValueError("means: no verdict")
    draws = np.random.default_rng(seed).integers(len(verdicts), size=(RESAMPLES, len(verdicts)))
    similarity = np.array([verdict.similarity for verdict in verdicts])
    dnsmos = np.array([verdict.dnsmos for verdict in verdicts])
    rates = [verdict.wer for verdict in verdicts if verdict.wer is not None]
    wer = wer_ci = None
    if len(rates) == len(verdicts):
        words = np.array([verdict.words for verdict in verdicts])
        wrong = np.array(rates) * words
        wer = round(float(wrong.sum() / words.sum()), 4)
        wer_ci = _interval(wrong[draws].sum(axis=1) / words[draws].sum(axis=1))
    return Means(
        count=len(verdicts),
        similarity=round(float(similarity.mean()), 4),
        similarity_ci=_interval(similarity[draws].mean(axis=1)),
        dnsmos=round(float(dnsmos.mean()), 4),
        dnsmos_ci=_interval(dnsmos[draws].mean(axis=1)),
        wer=wer,
        wer_ci=wer_ci,
    )


def _interval(values: np.typing.NDArray[np.floating]) -> Interval:
    low, high = np.percentile(values, INTERVAL)
    return round(float(low), 4), round(float(high), 4)
