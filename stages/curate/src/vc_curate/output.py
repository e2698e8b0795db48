"""What the stage leaves: clips, what was turned down, the ledger."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from vc_core import audio, ledger
from vc_core.audio import TTS_RATE, Samples
from vc_core.ledger import Reason
from vc_core.manifests import Clip, LedgerRow, Segment, write_rows
from vc_curate.corrections import clip_name
from vc_curate.finish import finish
from vc_curate.judge import Judged
from vc_curate.options import CurateOptions

DIGITS = {"snr": 1, "bandwidth": 0, "clipped": 6, "rate": 2, "dnsmos": 3}

# What becomes of a segment's seconds that no candidate took. Of the target's, only its pauses
# are left: what sounds in them is in a candidate or in a row that says why not.
REASONS = {
    "silence": Reason.SILENCE,
    "music": Reason.MUSIC,
    "other": Reason.OTHER_SPEAKER,
    "overlap": Reason.OVERLAP,
    "uncertain": Reason.UNCERTAIN_SPEAKER,
    "target": Reason.SILENCE,
}

# How a candidate's sound is had: [frames] and rate in Hz.
Read = Callable[[float, float], tuple[Samples, int]]


@dataclasses.dataclass(frozen=True)
class Rejected(Clip):
    """A clip that was turned down, as it would have been, and why."""

    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Origin:
    """The names of whom a clip is of, and of the recording it is from."""

    voice: str
    source: str


def write(
    folder: Path, judged: Sequence[Judged], read: Read, origin: Origin, options: CurateOptions
) -> list[Clip]:
    """Write the kept clips as 24 kHz FLAC of one loudness, with ``metadata.jsonl``.

    The rejected, too, where they are asked for, into ``rejected/`` with ``rejected.jsonl``.
    Returns the rows of the kept.
    """
    kept: list[Clip] = []
    rejected: list[Rejected] = []
    for one in judged:
        if one.reason is not None and not options.rejected:
            continue
        name = clip_name(origin.source, one.candidate.start)
        file_name = f"{name}.flac" if one.reason is None else f"rejected/{name}.flac"
        (folder / file_name).parent.mkdir(exist_ok=True)
        sound, rate = read(one.candidate.start, one.candidate.end)
        samples, loudness = finish(sound, rate, options.loudness)
        audio.write(folder / file_name, samples, TTS_RATE)
        row = _row(one, file_name, origin, options, (len(samples) / TTS_RATE, loudness))
        if one.reason is None:
            kept.append(row)
        else:
            rejected.append(Rejected(**vars(row), reason=one.reason.value))
    write_rows(folder / "metadata.jsonl", kept)
    if options.rejected:
        write_rows(folder / "rejected.jsonl", rejected)
    return kept


def ledger_rows(
    segments: Sequence[Segment],
    dropped: Sequence[LedgerRow],
    judged: Sequence[Judged],
    source: str,
) -> list[LedgerRow]:
    """Every second of the source: segments, over them what could not be cut, over that clips."""
    base = [LedgerRow(s.start, s.end, False, REASONS[s.label].value) for s in segments]
    fates = [
        LedgerRow(
            one.candidate.start,
            one.candidate.end,
            kept=one.reason is None,
            reason=one.reason.value if one.reason else "",
            clip=clip_name(source, one.candidate.start),
            figures=_rounded(one.figures) if one.reason else None,
        )
        for one in judged
    ]
    return ledger.tile(base, [*dropped, *fates])


def _row(
    one: Judged,
    file_name: str,
    origin: Origin,
    options: CurateOptions,
    finished: tuple[float, float],
) -> Clip:
    """The row of a clip; ``finished`` are its seconds and its loudness as stored, LUFS."""
    told = _rounded(one.figures)
    seconds, loudness = finished
    return Clip(
        clip=clip_name(origin.source, one.candidate.start),
        file_name=file_name,
        text=one.text,
        voice=origin.voice,
        source=origin.source,
        start=round(one.candidate.start, 6),
        end=round(one.candidate.end, 6),
        seconds=round(seconds, 6),
        language=options.language,
        licence=options.licence,
        similarity=told.get("similarity", 0.0),
        confidence=told.get("confidence", 1.0 if one.text_from == "corrected" else 0.0),
        dnsmos=told.get("dnsmos", 0.0),
        loudness=round(loudness, 2),
        written=one.written,
        text_from=one.text_from,
        snr=told.get("snr"),
        bandwidth=told.get("bandwidth"),
        clipped=told.get("clipped"),
        rate=told.get("rate"),
        disagreement=told.get("disagreement"),
    )


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, DIGITS.get(name, 4)) for name, value in figures.items()}
