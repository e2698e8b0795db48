"""What is spoken and compared with: clips of the dataset, other people in the recordings."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from vc_core import audio
from vc_core.audio import TTS_RATE, Samples
from vc_core.errors import InputError
from vc_core.manifests import Segment, read_rows, spread
from vc_speech import text

COLUMNS = ["audio", "text", "voice", "language"]
MIN_OTHER_SECONDS = 2.0  # less says too little of a voice


@dataclass(frozen=True)
class Clip:
    """A real clip of the target: its text and its sound, 24 kHz mono."""

    text: str
    samples: Samples
    voice: str
    language: str


def read_split(dataset: Path, split: str) -> list[Clip]:
    """The clips of one split that have words; [] when there is no such split.

    Raises InputError for a dataset that cannot be read.
    """
    import pyarrow
    from pyarrow import parquet

    clips = []
    for path in sorted(dataset.glob(f"data/{split}-*.parquet")):
        try:
            rows = parquet.read_table(path, columns=COLUMNS).to_pylist()
            clips += [_clip(row) for row in rows if text.comparable(row["text"])]
        except (pyarrow.ArrowException, soundfile.LibsndfileError, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else repr(error)
            raise InputError(f"{path}: not a dataset of clips ({reason}); make it again") from None
    return clips


def choose_texts(dataset: Path, count: int) -> tuple[list[Clip], str]:
    """Up to ``count`` clips never trained on, evenly over their split, and the split's name.

    Raises InputError when the dataset has neither a test nor a validation split.
    """
    for split in ("test", "validation"):
        clips = read_split(dataset, split)
        if clips:
            return spread(clips, count), split
    raise InputError(
        f"{dataset}: neither test nor validation has a clip with words; "
        "hold some out when the dataset is made"
    )


def others(
    vocals: Sequence[Path], segments: Sequence[Path], count: int
) -> list[tuple[Path, Segment]]:
    """Up to ``count`` stretches of other speakers, at least 2 s long, evenly over all."""
    found = [
        (recording, row)
        for recording, path in zip(vocals, segments, strict=True)
        for row in read_rows(path, Segment)
        if row.label == "other" and row.end - row.start >= MIN_OTHER_SECONDS
    ]
    return spread(found, count)


def _clip(row: dict[str, object]) -> Clip:
    stored = row["audio"]
    assert isinstance(stored, dict)
    return Clip(
        text=str(row["text"]),
        samples=audio.decode(stored["bytes"], TTS_RATE),
        voice=str(row["voice"]),
        language=str(row["language"]),
    )
