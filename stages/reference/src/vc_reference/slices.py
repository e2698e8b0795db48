"""Slices as they are cut out of recordings, and joined to one reference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vc_core import audio, log
from vc_core.audio import ENGINE_RATE, Samples
from vc_core.errors import InputError
from vc_speech import quality, vad

logger = log.get("reference")

MARGIN = 0.1  # seconds kept before the first and after the last speech
PAUSE = 0.3  # seconds between joined slices
FADE = 0.01  # seconds, so that cuts do not click
PEAK = 0.98  # of full scale: resampling may overshoot what was full


@dataclass(frozen=True)
class Slice:
    """Seconds [start, end) of a recording, which messages call ``name``; the end may be infinite.

    An infinite end means the end of the recording.
    """

    recording: Path
    name: str
    start: float
    end: float

    @property
    def span(self) -> str:
        """Its times as messages tell them."""
        return f"{self.start:g}-{self.end:g} s" if self.end < math.inf else f"from {self.start:g} s"

    @property
    def words(self) -> str:
        """As messages name it."""
        return f"reference {self.span} of {self.name}"


@dataclass(frozen=True)
class Piece:
    """One slice as it was cut: mono ``samples`` at ``rate``; times in seconds of the recording."""

    wanted: Slice
    start: float
    end: float
    samples: Samples
    rate: int
    clipped: float

    @property
    def heard(self) -> Samples:
        """Its samples at 16 kHz."""
        return audio.resample(self.samples, self.rate, ENGINE_RATE)


class UnfitError(InputError):
    """A slice that does not make a reference, where another may: ``at`` is the slice."""

    def __init__(self, message: str, at: Slice) -> None:
        super().__init__(message)
        self.at = at


def cut(wanted: Slice, longest: float) -> Piece:
    """The slice from its first speech to its last, or to a pause before it gets too long.

    Raises InputError when it is not to be had, UnfitError when it holds no speech.
    """
    start, end = wanted.start, wanted.end
    if end <= start:
        raise InputError(f"{wanted.words}: ends before it starts; set reference.end above start")
    samples, rate, duration = read(wanted.recording, start, min(end, start + longest))
    # A slice may name the end as rounded, up to a tenth of a second too late.
    if start >= duration or (end < math.inf and end > duration + MARGIN):
        raise InputError(
            f"reference {wanted.span} lies outside {wanted.name} ({duration:.1f} s): "
            "set reference.start/end within it"
        )
    speech = vad.speech_spans(audio.resample(samples, rate, ENGINE_RATE), pad=0)
    if not speech:
        raise UnfitError(
            f"{wanted.words}: holds no speech; set reference.start/end to some", wanted
        )
    length = len(samples) / rate
    if min(end, duration) - start > longest:
        if len(speech) > 1 and speech[-1][1] > length - MARGIN:
            # The word that the limit cut through is not the last one of a reference.
            speech.pop()
        logger.warning("%s: longer than %.1f s, so its beginning is used", wanted.words, longest)
    first, last = max(0.0, speech[0][0] - MARGIN), min(length, speech[-1][1] + MARGIN)
    kept = samples[round(first * rate) : round(last * rate)]
    return Piece(wanted, start + first, start + last, kept, rate, quality.clipped(kept))


def read(recording: Path, start: float, end: float) -> tuple[Samples, int, float]:
    """Mono samples of [start, end) seconds, their rate, and the duration of the recording.

    Of a long recording only these seconds are held in memory. Raises InputError where it cannot
    be read.
    """
    with audio.opened(recording, seekable=True) as file:
        rate, duration = file.samplerate, file.frames / file.samplerate
        first, last = round(start * rate), min(round(min(end, duration) * rate), file.frames)
        if first >= last:
            return np.zeros(0, np.float32), rate, duration
        file.seek(first)
        return next(audio.blocks(file, seconds=(last - first) / rate)), rate, duration


def joined(pieces: Sequence[Piece], rate: int) -> Samples:
    """All pieces at ``rate``, faded in and out, with pauses between them, below full scale."""
    parts: list[Samples] = []
    for piece in pieces:
        part = audio.resample(piece.samples, piece.rate, rate).copy()
        length = min(round(FADE * rate), len(part) // 2)
        ramp = np.linspace(0, 1, length, dtype=np.float32)
        part[:length] *= ramp
        part[len(part) - length :] *= ramp[::-1]
        parts += [part, np.zeros(round(PAUSE * rate), np.float32)]
    whole = np.concatenate(parts[:-1])
    peak = float(np.max(np.abs(whole)))
    return whole * np.float32(PEAK / peak) if peak > PEAK else whole
