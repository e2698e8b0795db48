"""Whether a candidate is worth learning from, and the clips and ledger that follow."""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vc_common import audio, ledger, quality, speakers
from vc_common.audio import ENGINE_RATE, TTS_RATE, Samples
from vc_common.ledger import Reason
from vc_common.manifests import Clip, LedgerRow, Segment
from vc_curate.cut import Candidate

CEILING = 10 ** (-1 / 20)  # peak that loudness normalisation may reach: -1 dBFS
FADE = 0.01  # seconds of fade at either end, against clicks
FULL_SCALE = 0.999
FASTEST = 28.0  # characters a second; faster text was not spoken
REPETITIVE = 2.4  # compression ratio above which Whisper itself distrusts its text
NOT_SPEECH = 0.9  # no-speech probability above which the words were imagined

# What becomes of a segment's seconds that no clip took.
REASONS = {
    "silence": Reason.SILENCE,
    "music": Reason.MUSIC,
    "other": Reason.OTHER_SPEAKER,
    "overlap": Reason.OVERLAP,
    "uncertain": Reason.UNCERTAIN_SPEAKER,
    "target": Reason.TOO_SHORT,
}


@dataclass(frozen=True)
class Rules:
    """Thresholds of a clip; see ``vc-curate --help``."""

    min_similarity: float
    min_confidence: float
    min_dnsmos: float
    max_clipped: float
    language: str
    loudness: float


@dataclass(frozen=True)
class Judged:
    """A candidate with its figures; ``reason`` is None when it is kept.

    ``samples`` [frames] at 24 kHz, loudness-normalised; empty when dropped.
    """

    candidate: Candidate
    reason: Reason | None
    samples: Samples
    language: str
    similarity: float = math.nan
    confidence: float = math.nan
    dnsmos: float = math.nan
    loudness: float = math.nan


def judge(
    candidate: Candidate,
    samples: Samples,
    rate: int,
    encoder: speakers.SpeakerEncoder,
    reference: speakers.Vector,
    rules: Rules,
) -> Judged:
    """Measure a candidate of ``samples`` [frames] at ``rate``; cheap tests come first."""
    cut = samples[round(candidate.start * rate) : round(candidate.end * rate)]
    confidence = float(np.mean([word.confidence for word in candidate.words]))
    dropped = Judged(
        candidate, None, np.zeros(0, np.float32), rules.language, confidence=confidence
    )
    reason = _text_fault(candidate, rules.language)
    if reason is None and confidence < rules.min_confidence:
        reason = Reason.LOW_CONFIDENCE
    if reason is None and float(np.mean(np.abs(cut) >= FULL_SCALE)) > rules.max_clipped:
        reason = Reason.CLIPPED
    if reason is not None:
        return dataclasses.replace(dropped, reason=reason)
    heard = audio.resample(cut, rate, ENGINE_RATE)
    similarity = speakers.cosine(encoder.embed(heard), reference)
    if similarity < rules.min_similarity:
        return dataclasses.replace(dropped, reason=Reason.LOW_SIMILARITY, similarity=similarity)
    mos = quality.dnsmos(heard)
    if mos < rules.min_dnsmos:
        return dataclasses.replace(
            dropped, reason=Reason.LOW_QUALITY, similarity=similarity, dnsmos=mos
        )
    finished, loudness = _normalise(audio.resample(cut, rate, TTS_RATE), rules.loudness)
    return Judged(candidate, None, finished, rules.language, similarity, confidence, mos, loudness)


def write_clips(
    folder: Path, kept: Sequence[Judged], voice: str, source: str, licence: str
) -> list[Clip]:
    """Write each clip as 24 kHz FLAC into ``folder``; returns their rows in order of time."""
    clips = []
    for one in kept:
        name = clip_name(source, one.candidate)
        audio.write(folder / f"{name}.flac", one.samples, TTS_RATE)
        clips.append(
            Clip(
                clip=name,
                file_name=f"{name}.flac",
                text=one.candidate.text,
                voice=voice,
                source=source,
                start=round(one.candidate.start, 6),
                end=round(one.candidate.end, 6),
                seconds=round(len(one.samples) / TTS_RATE, 6),
                language=one.language,
                licence=licence,
                similarity=round(one.similarity, 4),
                confidence=round(one.confidence, 4),
                dnsmos=round(one.dnsmos, 3),
                loudness=round(one.loudness, 2),
            )
        )
    return clips


def ledger_rows(
    segments: Sequence[Segment],
    dropped: Sequence[LedgerRow],
    judged: Sequence[Judged],
    source: str,
) -> list[LedgerRow]:
    """Every second of the source: segments, over them what could not be cut, over that clips."""
    base = [LedgerRow(s.start, s.end, False, REASONS[s.label].value) for s in segments]
    fates = [
        LedgerRow(one.candidate.start, one.candidate.end, False, one.reason.value)
        if one.reason
        else LedgerRow(
            one.candidate.start, one.candidate.end, True, clip=clip_name(source, one.candidate)
        )
        for one in judged
    ]
    tiled = ledger.tile(base, [*dropped, *fates])
    return [
        dataclasses.replace(row, start=round(row.start, 6), end=round(row.end, 6)) for row in tiled
    ]


def clip_name(source: str, candidate: Candidate) -> str:
    """Stable under changes elsewhere in the recording: source and start in milliseconds."""
    return f"{source}-{round(candidate.start * 1000):08d}"


def _text_fault(candidate: Candidate, language: str) -> Reason | None:
    """Why the text cannot be what was said, if so."""
    if sum(word.language == language for word in candidate.words) * 2 < len(candidate.words):
        return Reason.WRONG_LANGUAGE
    fast = len(candidate.text) / (candidate.end - candidate.start) > FASTEST
    repeated = max(word.compression for word in candidate.words) > REPETITIVE
    imagined = max(word.no_speech for word in candidate.words) > NOT_SPEECH
    return Reason.HALLUCINATION if fast or repeated or imagined else None


def _normalise(samples: Samples, wanted: float) -> tuple[Samples, float]:
    """Samples at ``wanted`` LUFS (ITU-R BS.1770), lower where the peak would pass -1 dBFS."""
    import pyloudnorm

    faded = samples.copy()
    size = round(FADE * TTS_RATE)
    ramp = np.linspace(0, 1, size, dtype=np.float32)
    faded[:size] *= ramp
    faded[-size:] *= ramp[::-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        measured = float(pyloudnorm.Meter(TTS_RATE).integrated_loudness(faded))
    peak = float(np.abs(faded).max())
    gain_db = min(wanted - measured, 20 * math.log10(CEILING / max(peak, 1e-6)))
    return faded * np.float32(10 ** (gain_db / 20)), measured + gain_db
