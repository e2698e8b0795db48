"""Clips on disk: Opus files, the manifest, and work in shards that a killed run resumes.

A shard is a few dozen clips. Its rows are written when all its files are, so a shard either has
rows and is done, or is made again from the start, with the same result.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from vc_common import audio, files, manifests
from vc_common.audio import TTS_RATE as RATE
from vc_common.audio import Samples

OPUS_LEVEL = 0.896  # libsndfile's scale of 0 to 1 for 256 to 6 kbit/s; this is 32
SECONDS = (0.6, 10.0)
LEVEL_DB = -24.0  # mean power of every clip; a clip may be quieter to keep its peaks
PEAK = 0.9
QUIET_DB, CLIPPED = -50.0, 1e-3
MARGIN = 0.08  # seconds kept around what is louder than EDGE_DB below the loudest
EDGE_DB = -42.0


@dataclass(frozen=True)
class Take:
    """One clip in memory: 24 kHz ``samples`` [frames] and who says what."""

    name: str
    speaker: str
    text: str
    samples: Samples


@dataclass(frozen=True)
class Row:
    """One clip on disk, a line of metadata.jsonl; ``file`` is relative to that."""

    file: str
    speaker: str
    text: str
    seconds: float
    source: str
    split: str


@dataclass(frozen=True)
class Tally:
    """What became of a shard: clips kept, their seconds, and clips skipped."""

    kept: int
    seconds: float
    skipped: int


def trim(samples: Samples) -> Samples:
    """The samples without the silence around them, but for a margin."""
    frame = RATE // 100
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    loud = np.flatnonzero(power > power.max(initial=0.0) * 10 ** (EDGE_DB / 10))
    if not loud.size:
        return samples[:0]
    margin = round(MARGIN * RATE)
    cut = samples[max(0, loud[0] * frame - margin) : (loud[-1] + 1) * frame + margin].copy()
    ramp = np.linspace(0.0, 1.0, margin // 4, dtype=np.float32)
    cut[: len(ramp)] *= ramp
    cut[-len(ramp) :] *= ramp[::-1]
    return cut


def levelled(samples: Samples) -> Samples:
    """The samples at the common level, or as near as their peaks allow."""
    gain = 10 ** ((LEVEL_DB - audio.rms_db(samples)) / 20)
    peak = float(np.abs(samples).max(initial=1e-9))
    return np.asarray(samples * min(gain, PEAK / peak), dtype=np.float32)


def fault(samples: Samples) -> str | None:
    """Why the samples, as their voice gave them, make no clip; None for a good one."""
    if not np.isfinite(samples).all():
        return "not finite"
    if audio.rms_db(samples) < QUIET_DB:
        return "silent"
    if float(np.mean(np.abs(samples) > 0.995)) > CLIPPED:
        return "clipped"
    if not SECONDS[0] <= len(samples) / RATE <= SECONDS[1]:
        return "too short or too long"
    return None


def write(path: Path, samples: Samples) -> None:
    """Write 24 kHz samples as Ogg Opus, atomically."""
    with files.atomic(path) as partial:
        soundfile.write(
            partial, samples, RATE, format="OGG", subtype="OPUS", compression_level=OPUS_LEVEL
        )


def rows_path(folder: Path, source: str, split: str, number: int) -> Path:
    """Where the rows of a finished shard lie."""
    return folder / "shards" / f"{split}-{source}-{number:05d}.jsonl"


def write_shard(folder: Path, source: str, split: str, number: int, takes: Iterable[Take]) -> Tally:
    """Write a shard's good clips and then its rows."""
    rows: list[Row] = []
    skipped = 0
    for take in takes:
        samples = trim(take.samples)
        if fault(samples) is not None or not take.text.strip():
            skipped += 1
            continue
        file = f"{source}/{take.name}.opus"
        write(folder / file, levelled(samples))
        seconds = round(len(samples) / RATE, 3)
        rows.append(Row(file, take.speaker, take.text, seconds, source, split))
    manifests.write_rows(rows_path(folder, source, split, number), rows)
    return Tally(len(rows), sum(row.seconds for row in rows), skipped)


def missing(folder: Path, source: str, split: str, numbers: Iterable[int]) -> list[int]:
    """The shards that are not finished."""
    return [n for n in numbers if not rows_path(folder, source, split, n).exists()]


def collect(folder: Path) -> list[Row]:
    """Write metadata.jsonl from all finished shards; returns its rows."""
    found = sorted((folder / "shards").glob("*.jsonl"))
    rows = [row for path in found for row in manifests.read_rows(path, Row)]
    manifests.write_rows(folder / "metadata.jsonl", rows)
    return rows
