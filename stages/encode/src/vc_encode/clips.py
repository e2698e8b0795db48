"""The clips of a dataset folder: text and sound, read straight from its parquet files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from vc_core import audio
from vc_core.errors import InputError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Sounding:
    """One clip: its id, split and text, and its samples at 24 kHz, mono.

    ``trouble`` says why the samples are empty where they could not be read.
    """

    clip: str
    split: str
    text: str
    samples: audio.Samples
    trouble: str = ""


def parquet_files(dataset: Path) -> list[tuple[str, Path]]:
    """Split and path of the dataset's files; raises InputError when there is none."""
    found = [
        (split, path)
        for split in SPLITS
        for path in sorted((dataset / "data").glob(f"{split}-*.parquet"))
    ]
    if not found:
        raise InputError(
            f"{dataset}: no data/train-*.parquet there; give the folder that vc-dataset wrote"
        )
    return found


def count(dataset: Path) -> int:
    """How many clips the dataset holds, without reading them."""
    from pyarrow import parquet

    return sum(parquet.read_metadata(path).num_rows for _, path in parquet_files(dataset))


def read(dataset: Path) -> Iterator[Sounding]:
    """Every clip, a few in memory at a time; raises InputError for a file of another shape."""
    import pyarrow
    from pyarrow import parquet

    for split, path in parquet_files(dataset):
        try:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(16, columns=["clip", "text", "audio"]):
                    for row in batch.to_pylist():
                        yield _sounding(split, row["clip"], row["text"], row["audio"]["bytes"])
        except (pyarrow.ArrowException, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: no dataset of clips ({error}); make it with vc-dataset"
            ) from None


def _sounding(split: str, clip: str, text: str, sound: bytes) -> Sounding:
    """Decode one clip's audio bytes."""
    try:
        return Sounding(clip, split, text, audio.decode(sound, audio.TTS_RATE))
    except (soundfile.LibsndfileError, TypeError) as error:
        return Sounding(clip, split, text, np.zeros(0, np.float32), str(error))
