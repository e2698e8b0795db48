"""Clips of speech with their texts to train on, in the shape of the project's datasets."""

import csv
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vc_core import audio, files
from vc_csm.options import MAX_SECONDS

EXAMPLES = Path(__file__).parent.parent / "examples"
SUFFIXES = {".flac", ".wav", ".ogg", ".opus", ".mp3"}
SEED = 20260110


@dataclass(frozen=True)
class Clip:
    """What was said, and its sound at 24 kHz, mono."""

    name: str
    text: str
    samples: audio.Samples

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / audio.TTS_RATE


def read(folder: Path | None) -> list[Clip]:
    """Clips of 1 to 10 s in an order drawn once: of a folder, or the shipped interview's guest."""
    clips = of_folder(folder) if folder else of_example()
    fitting = [clip for clip in clips if 1 <= clip.seconds <= MAX_SECONDS]
    random.Random(SEED).shuffle(fitting)  # noqa: S311 - an order, no secret
    return fitting


def of_example() -> list[Clip]:
    """The turns of the shipped interview's guest."""
    samples, rate = audio.read(EXAMPLES / "interview.opus", audio.TTS_RATE)
    turns = files.read_json(EXAMPLES / "interview.truth.json")["turns"]
    return [
        Clip(
            f"turn-{index}",
            turn["text"],
            samples[round(turn["start"] * rate) : round(turn["end"] * rate)],
        )
        for index, turn in enumerate(turns)
        if turn["speaker"] == "guest"
    ]


def of_folder(folder: Path) -> list[Clip]:
    """Recordings named as the first column of metadata.csv says; ``|`` parts it from the text."""
    sounds = {path.stem: path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES}
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE))
    return [
        Clip(row[0], row[-1], audio.read(sounds[row[0]], audio.TTS_RATE)[0])
        for row in rows
        if row[0] in sounds
    ]


def write_dataset(folder: Path, **splits: Sequence[Clip]) -> None:
    """Write parquet files that ``vc-encode`` reads, one a split."""
    import pyarrow
    import soundfile
    from pyarrow import parquet

    (folder / "data").mkdir(parents=True)
    for split, clips in splits.items():
        rows = []
        for clip in clips:
            sound = io.BytesIO()
            soundfile.write(sound, clip.samples, audio.TTS_RATE, format="FLAC")
            stored = {"bytes": sound.getvalue(), "path": f"{clip.name}.flac"}
            rows.append({"clip": clip.name, "text": clip.text, "audio": stored})
        place = folder / "data" / f"{split}-00000-of-00001.parquet"
        parquet.write_table(pyarrow.Table.from_pylist(rows), place)
