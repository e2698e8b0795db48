"""From slices of recordings to one reference, trimmed at the ends of speech and checked."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vc_core import audio, files, log
from vc_core.audio import ENGINE_RATE, TTS_RATE, Samples
from vc_core.errors import InputError
from vc_reference import checks, proposals
from vc_reference.checks import Ears
from vc_reference.options import ReferenceOptions
from vc_reference.slices import MARGIN, Piece, Slice, UnfitError, cut, joined, read
from vc_speech import quality, vad
from vc_speech.speakers import SpeakerEncoder

logger = log.get("reference")

SILENT = "none"  # the transcriber that hears no text


def make(slices: Sequence[Slice], output: Path, options: ReferenceOptions) -> dict[str, Any]:
    """Write the reference as 24 kHz mono WAV and its figures beside it, as ``.json``.

    Returns the figures. Raises InputError, naming the slice, the limit and the mend, and where it
    can a better slice, when the slices are not to be had or do not make a reference.
    """
    if output.suffix.lower() != ".wav":
        raise InputError(f"{output}: the output is WAV; name it .wav")
    ears = Ears.of(options)
    try:
        pieces = _cut_all(slices, options.max_seconds)
        heard, figures = _checked(pieces, options, ears)
    except UnfitError as error:
        raise InputError(f"{error}{_better(error.at, options, ears)}") from None
    names = list(dict.fromkeys(piece.wanted.name for piece in pieces))
    told = {
        "source": ", ".join(names),
        **figures,
        "rate": TTS_RATE,
        "encoder": options.encoder,
        "text": _text(heard, options),
    }
    with files.atomic(output) as partial:
        audio.write(partial, joined(pieces, TTS_RATE), TTS_RATE)
        files.write_json(output.with_suffix(".json"), told)
    return told


def paired(
    recordings: Sequence[Path], names: Sequence[str], spans: Sequence[tuple[float, float]]
) -> list[Slice]:
    """The slices: all of the one recording, one of each of several, or whole recordings.

    ``names`` are what messages call the recordings: one for each, one for all, or none.
    """
    if not spans:
        spans = [(0.0, math.inf)] * len(recordings)
    if len(recordings) == 1:
        recordings = [recordings[0]] * len(spans)
    if len(recordings) != len(spans):
        raise InputError(
            f"reference: {len(spans)} slices for {len(recordings)} recordings; "
            "give one recording, or one slice for each"
        )
    called = list(names) or [str(recording) for recording in recordings]
    if len(called) == 1:
        called *= len(recordings)
    if len(called) != len(recordings):
        raise InputError(
            f"reference: {len(called)} names for {len(recordings)} slices; "
            "give one --name for all, or one for each"
        )
    return [
        Slice(recording, name, *span)
        for recording, name, span in zip(recordings, called, spans, strict=True)
    ]


def _cut_all(slices: Sequence[Slice], longest: float) -> list[Piece]:
    """The slices' pieces, as many as there is room for in ``longest`` seconds."""
    pieces: list[Piece] = []
    left = longest
    for number, wanted in enumerate(slices):
        if left <= MARGIN:
            logger.warning(
                "reference: %.0f s are enough; the last %d slices are left out",
                longest,
                len(slices) - number,
            )
            break
        pieces.append(cut(wanted, left))
        left -= pieces[-1].end - pieces[-1].start
    return pieces


def _checked(
    pieces: Sequence[Piece], limits: ReferenceOptions, ears: Ears
) -> tuple[Samples, dict[str, Any]]:
    """The reference at 16 kHz and its figures; raises UnfitError for the first limit not kept."""
    least = ears.least_cosine(limits)
    heard = joined(pieces, ENGINE_RATE)
    speech = vad.speech_spans(heard)
    seconds = vad.total(speech)
    if complaint := checks.too_short(seconds, limits.min_seconds):
        raise UnfitError(f"{_spoken(pieces)}: {complaint}", pieces[0].wanted)
    told = []
    for piece in pieces:
        if complaint := checks.distorted(piece.clipped, limits):
            raise UnfitError(f"{_spoken([piece])}: {complaint}", piece.wanted)
        mos = quality.dnsmos(piece.heard)
        if complaint := checks.noisy(mos, limits):
            raise UnfitError(f"{_spoken([piece])}: {complaint}", piece.wanted)
        told.append(_facts(piece, mos, _overlap_seconds(piece, ears)))
        if complaint := checks.two_at_once(told[-1]["overlap_seconds"], limits.max_overlap):
            raise UnfitError(f"{_spoken([piece])}: {complaint}", piece.wanted)
    alike = _alike(pieces, limits, ears.encoder, least)
    stretch = checks.least_likeness(heard, speech, ears.encoder)
    if complaint := checks.several_voices(stretch, least):
        raise UnfitError(f"{_spoken(pieces)}: {complaint}", pieces[0].wanted)
    return heard, {
        "slices": told,
        "seconds": round(len(heard) / ENGINE_RATE, 3),
        "speech_seconds": round(seconds, 3),
        "clipped": max(facts["clipped"] for facts in told),
        "dnsmos": min(facts["dnsmos"] for facts in told),
        "snr_db": min(facts["snr_db"] for facts in told),
        "min_cosine": stretch,
        "min_cosine_of_slices": alike,
    }


def _alike(
    pieces: Sequence[Piece], limits: ReferenceOptions, encoder: SpeakerEncoder, least: float
) -> float | None:
    """How like the others the odd one of several pieces is; raises UnfitError where too little."""
    if len(pieces) < 2:
        return None
    odd, cosine = checks.stranger([encoder.embed(piece.heard) for piece in pieces])
    short = min(piece.end - piece.start for piece in pieces) < checks.SURE
    if short and limits.min_cosine == "auto" and encoder.thresholds:
        least = encoder.thresholds.clip
    if cosine < least:
        raise UnfitError(
            f"{_spoken([pieces[odd]])}: another speaker than in the other slices, as it seems: "
            f"only {cosine:.2f} like them, below {least:g} (--min-cosine); "
            "choose slices of one person",
            pieces[odd].wanted,
        )
    return cosine


def _overlap_seconds(piece: Piece, ears: Ears) -> float:
    """Seconds of two people at once in the piece, heard with what is around it."""
    since = max(0.0, piece.start - checks.AROUND)
    found, rate, _ = read(piece.wanted.recording, since, piece.end + checks.AROUND)
    samples = audio.resample(found, rate, ENGINE_RATE)
    return ears.overlap_seconds(samples, piece.start - since, piece.end - since)


def _facts(piece: Piece, dnsmos: float, overlap_seconds: float) -> dict[str, Any]:
    return {
        "file": piece.wanted.recording.name,
        "source": piece.wanted.name,
        "start": round(piece.start, 3),
        "end": round(piece.end, 3),
        "clipped": round(piece.clipped, 6),
        "dnsmos": round(dnsmos, 3),
        "snr_db": checks.snr_db(piece.heard),
        "overlap_seconds": round(overlap_seconds, 3),
    }


def _better(unfit: Slice, limits: ReferenceOptions, ears: Ears) -> str:
    """The end of the message: what near the unfit slice would do instead."""
    found = proposals.near(unfit, limits, ears)
    if found is None:
        return ""
    return f"; {found.start:.1f}-{found.end:.1f} s would serve better (DNSMOS {found.dnsmos:.2f})"


def _text(heard: Samples, options: ReferenceOptions) -> str:
    """What is said in 16 kHz samples, for models that want the text of their context."""
    if options.whisper == SILENT:
        return ""
    from vc_speech import whisper

    return whisper.load(options.whisper, "cpu").hear(heard, options.language).text


def _spoken(pieces: Sequence[Piece]) -> str:
    """The pieces as messages name them."""
    spans = [f"{piece.start:.1f}-{piece.end:.1f} s of {piece.wanted.name}" for piece in pieces]
    return f"reference {', '.join(spans)}"
