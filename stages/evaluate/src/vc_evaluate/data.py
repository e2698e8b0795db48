"""What is spoken and compared with: clips of the dataset, other people in the recordings."""

from collections.abc import Sequence
from pathlib import Path

from vc_core.dataset import DatasetClip, read
from vc_core.errors import InputError
from vc_core.manifests import Segment, read_rows, spread
from vc_speech import text

MIN_OTHER_SECONDS = 2.0  # less says too little of a voice


def read_split(dataset: Path, split: str) -> list[DatasetClip]:
    """The clips of one split that have words and sound; [] when there is no such split.

    Raises InputError for a dataset that cannot be read.
    """
    return [
        clip for clip in read(dataset, [split]) if text.comparable(clip.text) and len(clip.samples)
    ]


def choose_texts(dataset: Path, count: int) -> tuple[list[DatasetClip], str]:
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


def others(recordings: Sequence[tuple[Path, Path]], count: int) -> list[tuple[Path, Segment]]:
    """Up to ``count`` stretches of other speakers, at least 2 s long, evenly over all.

    ``recordings`` are separated vocals, each with the file that says who speaks when.
    """
    found = [
        (recording, row)
        for recording, path in recordings
        for row in read_rows(path, Segment)
        if row.label == "other" and row.end - row.start >= MIN_OTHER_SECONDS
    ]
    return spread(found, count)
