"""Whether a candidate is worth learning from: its figures against the thresholds."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vc_core import audio
from vc_core.audio import ENGINE_RATE, Samples
from vc_core.ledger import Reason
from vc_core.manifests import Word
from vc_curate import figures
from vc_curate.corrections import Correction
from vc_curate.cut import Candidate
from vc_curate.options import CurateOptions
from vc_speech import quality, speakers
from vc_speech.snr import snr
from vc_speech.text import letters_a_second

FASTEST = 28.0  # letters a second of speech; faster text was not spoken
REPETITIVE = 2.4  # compression ratio above which Whisper itself distrusts its text
CLEAN = 2.2  # DNSMOS that a clean recording's clips reach
SPREAD = 0.5  # DNSMOS by which clips of any recording lie below its median...
DEVIATIONS = 3.0  # ... or robust standard deviations of its own, if that is more
ROBUST = 1.4826  # the standard deviation of normal figures over the median of their deviations
NOT_SPEECH = 0.9  # no-speech probability above which the words were imagined


@dataclass(frozen=True)
class Judged:
    """A candidate, what was measured of it, and why it is not kept (None: it is).

    Measuring ends at the first figure that rules a candidate out. One that people ``forced`` is
    kept whatever is measured.
    """

    candidate: Candidate
    reason: Reason | None
    text: str
    written: str
    text_from: str
    figures: dict[str, float]
    forced: bool = False


@dataclass(frozen=True)
class Test:
    """One figure: how it is measured, within which bounds it is good, what else is the reason."""

    name: str
    measure: Callable[[], float]
    reason: Reason
    least: float = -math.inf
    most: float = math.inf


class Judge:
    """The engines, the target's voice and the limits.

    With ``min_dnsmos`` auto a clip's DNSMOS is measured and rules nothing out by itself.
    """

    def __init__(
        self, encoder: speakers.SpeakerEncoder, target: speakers.Vector, limits: CurateOptions
    ) -> None:
        """``target`` is the embedding of the reference."""
        self._encoder = encoder
        self._target = target
        self._limits = limits
        self._min_similarity = speakers.threshold(
            encoder, "clip", limits.min_similarity, "--min-similarity"
        )

    def judge(
        self, candidate: Candidate, samples: Samples, rate: int, told: Correction | None
    ) -> Judged:
        """Judge a candidate whose sound is ``samples`` [frames]; people have the last word.

        A clip that they keep is measured and kept, a text that they gave is believed.
        """
        right = told.text if told else ""
        forced = told is not None and told.keep is True
        measured: dict[str, float] = {}
        reason = None if right else _text_fault(candidate.words, self._limits.language)
        if told and told.keep is False:
            reason = Reason.BY_HAND
        tests = [*([] if right else self._text_tests(candidate)), *self._tests(samples, rate)]
        for test in tests:
            if reason is not None and not forced:
                break
            measured[test.name] = value = test.measure()
            if not test.least <= value <= test.most:
                reason = test.reason
        return Judged(
            candidate,
            None if forced else reason,
            right or candidate.text,
            right or candidate.written,
            "corrected" if right else _origin(candidate.words),
            measured | {"rate": letters_a_second(right or candidate.text, candidate.speech)},
            forced,
        )

    def _text_tests(self, candidate: Candidate) -> list[Test]:
        words, limits = candidate.words, self._limits
        compared = [word.disagreement for word in words if word.disagreement is not None]
        tests = [
            Test(
                "confidence",
                lambda: float(np.mean([word.confidence for word in words])),
                Reason.LOW_CONFIDENCE,
                least=limits.min_confidence,
            ),
            Test(
                "rate",
                lambda: letters_a_second(candidate.text, candidate.speech),
                Reason.HALLUCINATION,
                most=FASTEST,
            ),
        ]
        if compared:
            differ, most = Reason.CAPTIONS_DIFFER, limits.max_disagreement
            tests.append(Test("disagreement", lambda: float(np.mean(compared)), differ, most=most))
        return tests

    def _tests(self, samples: Samples, rate: int) -> list[Test]:
        """Of the sound; what costs least comes first."""
        limits = self._limits
        heard = functools.cache(lambda: audio.resample(samples, rate, ENGINE_RATE))
        return [
            Test(
                "clipped", lambda: quality.clipped(samples), Reason.CLIPPED, most=limits.max_clipped
            ),
            Test("snr", lambda: snr(samples, rate), Reason.LOW_SNR, least=limits.min_snr),
            Test(
                "bandwidth",
                lambda: figures.bandwidth(samples, rate),
                Reason.LOW_BANDWIDTH,
                least=limits.min_bandwidth,
            ),
            Test(
                "similarity",
                lambda: speakers.cosine(self._encoder.embed(heard()), self._target),
                Reason.LOW_SIMILARITY,
                least=self._min_similarity,
            ),
            Test(
                "dnsmos",
                lambda: quality.dnsmos(heard()),
                Reason.LOW_QUALITY,
                least=-math.inf if limits.min_dnsmos == "auto" else limits.min_dnsmos,
            ),
        ]


def usual_dnsmos(judged: Sequence[Judged]) -> float | None:
    """The median DNSMOS of the candidates that passed every test; None without any."""
    passed = _passed(judged)
    return round(float(np.median(passed)), 3) if passed else None


def least_dnsmos(heard: Sequence[float]) -> float:
    """What a clip should reach in a recording whose clips have these figures."""
    if not heard:
        return CLEAN
    usual = float(np.median(heard))
    deviation = ROBUST * float(np.median(np.abs(np.array(heard) - usual)))
    return min(CLEAN, usual - max(SPREAD, DEVIATIONS * deviation))


def without_the_worst(judged: Sequence[Judged]) -> list[Judged]:
    """The same, but for clips that sound much worse than their recording does.

    The threshold is what clean recordings reach; or, in a noisy room, what lies far below the
    recording's own median: one threshold for all would leave nothing of it.
    """
    least = least_dnsmos(_passed(judged))
    return [
        dataclasses.replace(one, reason=Reason.LOW_QUALITY)
        if one.reason is None and not one.forced and one.figures["dnsmos"] < least
        else one
        for one in judged
    ]


def _passed(judged: Sequence[Judged]) -> list[float]:
    """DNSMOS of the candidates that passed by themselves."""
    return [one.figures["dnsmos"] for one in judged if one.reason is None and not one.forced]


def _text_fault(words: Sequence[Word], language: str) -> Reason | None:
    """Why the words cannot be what was said, if so."""
    if sum(word.language == language for word in words) * 2 < len(words):
        return Reason.WRONG_LANGUAGE
    repeated = max(word.compression for word in words) > REPETITIVE
    imagined = max(word.no_speech for word in words) > NOT_SPEECH
    doubted = any(word.doubt for word in words)
    return Reason.HALLUCINATION if repeated or imagined or doubted else None


def _origin(words: Sequence[Word]) -> str:
    """Whose text it is: of the captions, when most words come from there."""
    return "captions" if sum(word.captioned for word in words) * 2 > len(words) else "heard"
