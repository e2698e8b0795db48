"""The recordings as one long row of samples, decoded once: int16 at 24 kHz, mapped from disk.

The data's folder has ``metadata.jsonl`` with a row a clip: file, speaker, text, split.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vc_common import audio, files
from vc_common.errors import InputError

Numbers = npt.NDArray[np.int16]
SCALE = 32768.0
AT_ONCE = 256  # clips decoded before they are written


@dataclass(frozen=True)
class Clip:
    """One row of the data, and where its samples stand in the cache."""

    file: str
    speaker: str
    text: str
    split: str
    start: int
    length: int


def open_cache(data: Path, cache: Path) -> tuple[Numbers, list[Clip]]:
    """All samples [samples] and the clips in them; decodes what is not decoded yet."""
    stored = (data / "metadata.jsonl").read_bytes()
    digest = hashlib.sha256(stored).hexdigest()
    index, samples = cache / "clips.json", cache / "samples.i16"
    if not index.is_file() or json.loads(index.read_text("utf-8"))["of"] != digest:
        rows = [json.loads(line) for line in stored.decode().splitlines() if line]
        cache.mkdir(parents=True, exist_ok=True)
        clips = _decode(data, rows, samples)
        with files.atomic(index) as partial:
            partial.write_text(json.dumps({"of": digest, "clips": [asdict(c) for c in clips]}))
    clips = [Clip(**row) for row in json.loads(index.read_text("utf-8"))["clips"]]
    if not clips:
        raise InputError(f"{data}: metadata.jsonl has no clips; make the data first")
    return np.memmap(samples, dtype=np.int16, mode="r"), clips


def of_split(numbers: Numbers, clips: list[Clip], split: str) -> Tensor:
    """The samples of one split, [samples] of int16, one clip after the other."""
    parts = [samples_of(numbers, clip) for clip in clips if clip.split == split]
    if not parts:
        raise InputError(f"the data have no clip of split {split!r}")
    return torch.from_numpy(np.concatenate(parts))


def samples_of(numbers: Numbers, clip: Clip) -> Numbers:
    return np.asarray(numbers[clip.start : clip.start + clip.length])


def crops(numbers: Tensor, length: int, count: int, chance: torch.Generator) -> Tensor:
    """Random stretches [count, length] in [-1, 1], on the device where the samples lie."""
    starts = torch.randint(0, len(numbers) - length, (count, 1), generator=chance)
    gains = 10 ** (torch.rand(count, 1, generator=chance) * 0.6 - 0.45)  # -9 to +3 dB
    places = starts.to(numbers.device) + torch.arange(length, device=numbers.device)
    heard = numbers[places].float() / SCALE * gains.to(numbers.device)
    return heard.clamp(-1.0, 1.0)


def _decode(data: Path, rows: list[dict[str, str]], path: Path) -> list[Clip]:
    """Write the samples of all rows behind one another."""
    clips: list[Clip] = []
    start = 0
    with files.atomic(path) as partial, partial.open("wb") as out:
        for row, samples in zip(rows, _read_all(data, rows), strict=True):
            out.write(samples.tobytes())
            named = (row["file"], row["speaker"], row["text"], row["split"])
            clips.append(Clip(*named, start, len(samples)))
            start += len(samples)
    return clips


def _read_all(data: Path, rows: list[dict[str, str]]) -> Iterator[Numbers]:
    """Every row's samples, in order, read by as many threads as there are cores."""

    def read(row: dict[str, str]) -> Numbers:
        samples, _ = audio.read(data / row["file"], audio.TTS_RATE)
        return np.asarray(np.clip(samples * SCALE, -SCALE, SCALE - 1), dtype=np.int16)

    with ThreadPoolExecutor(os.cpu_count()) as readers:
        for first in range(0, len(rows), AT_ONCE):
            yield from readers.map(read, rows[first : first + AT_ONCE])
