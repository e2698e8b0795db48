"""The clips of a dataset folder, read straight from the parquet files that vc-dataset wrote.

``read(dataset, splits)`` gives them one by one, ``count(dataset)`` says how many there are. Both
need pyarrow, which the commands that call them depend on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from vc_core import audio
from vc_core.errors import InputError

SPLITS = ("train", "validation", "test")

TOGETHER = 16  # rows that are in memory at once
NEEDED = ("text", "audio")
COLUMNS = ("clip", "text", "voice", "language", "audio")


@dataclass(frozen=True)
class DatasetClip:
    """One clip: its id, split, text, voice and language, and its samples at 24 kHz, mono.

    What its row does not say is "". ``trouble`` says why the samples are empty where they could
    not be read.
    """

    clip: str
    split: str
    text: str
    voice: str
    language: str
    samples: audio.Samples
    trouble: str = ""


def count(dataset: Path) -> int:
    """How many clips the dataset holds, without reading them.

    Raises InputError when the folder is no dataset, or one of its files is damaged.
    """
    found = _files(dataset, SPLITS)
    if not found:
        raise InputError(
            f"{dataset}: no data/train-*.parquet there; give the folder that vc-dataset wrote"
        )
    total = 0
    for _, path in found:
        with _opened(path) as file:
            total += file.metadata.num_rows
    return total


def read(dataset: Path, splits: Sequence[str] = SPLITS) -> Iterator[DatasetClip]:
    """The clips of some splits in their order, a few in memory at a time.

    None where the dataset has no such split. Raises InputError for a file that holds no clips.
    """
    for split, path in _files(dataset, splits):
        for row in _rows(path):
            yield _decoded(split, row)


def _files(dataset: Path, splits: Sequence[str]) -> list[tuple[str, Path]]:
    return [
        (split, path)
        for split in splits
        for path in sorted((dataset / "data").glob(f"{split}-*.parquet"))
    ]


def _opened(path: Path) -> Any:
    """A pyarrow ParquetFile."""
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise _no_dataset(path, error) from None


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of one file, with those of the columns that it has."""
    import pyarrow

    with _opened(path) as file:
        columns = [name for name in COLUMNS if name in file.schema_arrow.names]
        lacking = [name for name in NEEDED if name not in columns]
        if lacking:
            raise _no_dataset(path, f"it has no column {lacking[0]!r}")
        try:
            for batch in file.iter_batches(TOGETHER, columns=columns):
                yield from batch.to_pylist()
        except (pyarrow.ArrowException, OSError) as error:
            raise _no_dataset(path, error) from None


def _decoded(split: str, row: dict[str, Any]) -> DatasetClip:
    samples, trouble = np.zeros(0, np.float32), ""
    try:
        samples = audio.decode(row["audio"]["bytes"], audio.TTS_RATE)
    except (soundfile.LibsndfileError, TypeError) as error:
        trouble = str(error)
    clip, text, voice, language = (
        str(row.get(name) or "") for name in ("clip", "text", "voice", "language")
    )
    return DatasetClip(clip, split, text, voice, language, samples, trouble)


def _no_dataset(path: Path, why: object) -> InputError:
    told = str(why).splitlines()[0] if str(why) else repr(why)
    return InputError(f"{path}: not a dataset of clips ({told}); make it with vc-dataset")
