"""From slices of recordings to one reference, trimmed at the ends of speech and checked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from vc_common import audio, files, log, quality, speakers, vad
from vc_common.audio import ENGINE_RATE, TTS_RATE, Samples
from vc_common.errors import InputError
from vc_reference import checks

logger = log.get("reference")

Slice = tuple[float, float]  # seconds; the end is infinite for "to the end"

MARGIN = 0.1  # seconds kept before the first and after the last speech
PAUSE = 0.3  # seconds between joined slices
FADE = 0.01  # seconds, so that cuts do not click
PEAK = 0.98  # of full scale: resampling may overshoot what was full


@dataclass(frozen=True)
class Limits:
    """What a reference must reach; each is an option of the command of the same name."""

    min_seconds: float = 3.0
    max_seconds: float = 30.0
    min_dnsmos: float = 2.0
    max_clipped: float = 0.001
    min_cosine: float = 0.75


@dataclass(frozen=True)
class Piece:
    """One slice as it was cut: mono ``samples`` at ``rate``; times in seconds of the recording."""

    file: Path
    start: float
    end: float
    samples: Samples
    rate: int
    clipped: float


def make(
    recordings: Sequence[Path],
    slices: Sequence[Slice],
    output: Path,
    limits: Limits,
    *,
    encoder: str = speakers.DEFAULT_ENCODER,
    name: str | None = None,
    hearing: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Write the reference as 24 kHz mono WAV and its figures beside it, as ``.json``.

    ``hearing`` is the Whisper model and language that give its text.

    All ``slices`` are of the one recording, or there is one for each of several; without any
    the recordings are taken whole. Returns the figures. Raises InputError, naming the limit
    and the mend, when the slices are not to be had or do not make a reference.
    """
    if output.suffix.lower() != ".wav":
        raise InputError(f"{output}: the output is WAV; name it .wav")
    pieces: list[Piece] = []
    left = limits.max_seconds
    for recording, wanted in _paired(recordings, slices):
        if left <= MARGIN:
            logger.warning("reference: %.0f s are enough; later slices left out", left)
            break
        pieces.append(_cut(recording, wanted, left, name or str(recording)))
        left -= pieces[-1].end - pieces[-1].start
    shown = name or ", ".join(dict.fromkeys(str(piece.file) for piece in pieces))
    where = f"reference {_spoken(pieces)} s of {shown}"

    heard = _joined(pieces, ENGINE_RATE)
    speech = vad.speech_spans(heard)
    figures = {
        "seconds": round(len(heard) / ENGINE_RATE, 3),
        "speech_seconds": round(vad.total(speech), 3),
        "clipped": round(max(piece.clipped for piece in pieces), 6),
        "dnsmos": round(quality.dnsmos(heard), 3),
        "min_cosine": checks.least_likeness(heard, speech, speakers.SpeakerEncoder(encoder)),
    }
    _check(where, figures, limits)

    told = {
        "source": name,
        "slices": [
            {"file": piece.file.name, "start": round(piece.start, 3), "end": round(piece.end, 3)}
            for piece in pieces
        ],
        "rate": TTS_RATE,
        **figures,
        "encoder": encoder,
        "text": _text(heard, *hearing) if hearing else "",
    }
    with files.atomic(output) as partial:
        audio.write(partial, _joined(pieces, TTS_RATE), TTS_RATE)
        files.write_json(output.with_suffix(".json"), told)
    return told


def _text(heard: Samples, model: str, language: str) -> str:
    """What is said in 16 kHz samples."""
    from vc_common.whisper import Transcriber

    return Transcriber(model, "cpu").hear(heard, language).text


def _paired(recordings: Sequence[Path], slices: Sequence[Slice]) -> list[tuple[Path, Slice]]:
    """Each slice with its recording."""
    if not slices:
        return [(recording, (0.0, math.inf)) for recording in recordings]
    if len(recordings) == 1:
        return [(recordings[0], wanted) for wanted in slices]
    if len(recordings) == len(slices):
        return list(zip(recordings, slices, strict=True))
    raise InputError(
        f"reference: {len(slices)} slices for {len(recordings)} recordings; "
        "give one recording, or one slice for each"
    )


def _cut(recording: Path, wanted: Slice, longest: float, shown: str) -> Piece:
    """The slice from its first speech to its last, or to a pause before it gets too long."""
    start, end = wanted
    span = f"reference {start:g}-{end:g} s" if end < math.inf else f"reference from {start:g} s"
    if end <= start:
        raise InputError(f"{span} of {shown}: ends before it starts; set reference.end above start")
    if recording.is_dir():
        raise InputError(f"{recording}: is a folder; give a recording in it")
    samples, rate, duration = _read(recording, start, min(end, start + longest))
    # A slice may name the end as rounded, up to a tenth of a second too late.
    if start >= duration or (end < math.inf and end > duration + MARGIN):
        raise InputError(
            f"{span} lies outside {shown} ({duration:.1f} s): set reference.start/end within it"
        )
    heard = audio.resample(samples, rate, ENGINE_RATE)
    speech = vad.speech_spans(heard, pad=0)
    if not speech:
        raise InputError(f"{span} of {shown}: holds no speech; set reference.start/end to some")
    length = len(samples) / rate
    if min(end, duration) - start > longest:
        if len(speech) > 1 and speech[-1][1] > length - MARGIN:
            # The word that the limit cut through is not the last one of a reference.
            speech.pop()
        logger.warning(
            "%s of %s: longer than %.1f s, so its beginning is used", span, shown, longest
        )
    first, last = max(0.0, speech[0][0] - MARGIN), min(length, speech[-1][1] + MARGIN)
    kept = samples[round(first * rate) : round(last * rate)]
    return Piece(recording, start + first, start + last, kept, rate, checks.clipped(kept))


def _read(recording: Path, start: float, end: float) -> tuple[Samples, int, float]:
    """Mono samples of [start, end) seconds, their rate, and the duration of the recording."""
    try:
        info = soundfile.info(recording)
        samples, rate = audio.read_span(recording, start, min(end, info.duration))
    except soundfile.LibsndfileError:
        # Not a format of libsndfile, a damaged file, or no audio at all: ffmpeg knows which.
        whole, rate = audio.read(recording)
        return whole[round(start * rate) : round(end * rate)], rate, len(whole) / rate
    return samples, rate, info.duration


def _joined(pieces: Sequence[Piece], rate: int) -> Samples:
    """All pieces at ``rate``, faded in and out, with pauses between them, below full scale."""
    parts: list[Samples] = []
    for piece in pieces:
        part = audio.resample(piece.samples, piece.rate, rate).copy()
        length = min(round(FADE * rate), len(part) // 2)
        ramp = np.linspace(0, 1, length, dtype=np.float32)
        part[:length] *= ramp
        part[len(part) - length :] *= ramp[::-1]
        parts += [part, np.zeros(round(PAUSE * rate), np.float32)]
    joined = np.concatenate(parts[:-1])
    peak = float(np.max(np.abs(joined)))
    return joined * np.float32(PEAK / peak) if peak > PEAK else joined


def _check(where: str, figures: dict[str, Any], limits: Limits) -> None:
    """Raise InputError for the first limit that is not kept."""
    speech, clipped, mos = figures["speech_seconds"], figures["clipped"], figures["dnsmos"]
    if speech < limits.min_seconds:
        raise InputError(
            f"{where}: {speech:.1f} s of speech are fewer than {limits.min_seconds:g} "
            "(--min-seconds); set reference.start/end to a longer stretch"
        )
    if clipped > limits.max_clipped:
        raise InputError(
            f"{where}: {clipped:.2%} of its samples are clipped, more than "
            f"{limits.max_clipped:.2%} (--max-clipped); choose a stretch that is not distorted"
        )
    if mos < limits.min_dnsmos:
        raise InputError(
            f"{where}: DNSMOS {mos:.2f} is below {limits.min_dnsmos:g} (--min-dnsmos); "
            "choose a stretch without noise or music"
        )
    likeness = figures["min_cosine"]
    if likeness is not None and likeness < limits.min_cosine:
        raise InputError(
            f"{where}: more than one speaker, as it seems: a stretch is only {likeness:.2f} like "
            f"the rest, below {limits.min_cosine:g} (--min-cosine); "
            "set reference.start/end to where one person speaks"
        )


def _spoken(pieces: Sequence[Piece]) -> str:
    return ", ".join(f"{piece.start:.1f}-{piece.end:.1f}" for piece in pieces)
