"""The dataset's clips are read one by one, whatever became of some of them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
import soundfile
from pyarrow import parquet

from vc_core import dataset
from vc_core.errors import InputError


def sound(seconds: float, rate: int = 24_000) -> bytes:
    file = io.BytesIO()
    samples = 0.1 * np.sin(np.arange(round(seconds * rate)) * 0.1)
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def row(clip: str, stored: bytes, **more: Any) -> dict[str, Any]:
    return {"audio": {"bytes": stored, "path": f"{clip}.flac"}, "text": "Hi.", "clip": clip, **more}


def write(folder: Path, split: str, rows: list[dict[str, Any]]) -> None:
    (folder / "data").mkdir(exist_ok=True)
    table = pyarrow.Table.from_pylist(rows)
    parquet.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")


def test_every_clip_is_read_with_its_split_and_24_khz_samples(tmp_path: Path) -> None:
    told = {"voice": "ada", "language": "en"}
    write(tmp_path, "train", [row(f"a-{n}", sound(0.1), **told) for n in range(20)])
    write(tmp_path, "test", [row("b", sound(0.5, 48_000))])
    assert dataset.count(tmp_path) == 21
    clips = list(dataset.read(tmp_path))
    assert [(c.clip, c.split) for c in clips[18:]] == [
        ("a-18", "train"),
        ("a-19", "train"),
        ("b", "test"),
    ]
    assert (clips[0].text, clips[0].voice, clips[0].language) == ("Hi.", "ada", "en")
    assert (clips[-1].voice, len(clips[-1].samples)) == ("", 12_000)
    assert [clip.clip for clip in dataset.read(tmp_path, ["test", "validation"])] == ["b"]


def test_a_clip_that_cannot_be_decoded_says_why(tmp_path: Path) -> None:
    write(tmp_path, "train", [row("a", b"no audio"), row("b", sound(0.1))])
    broken, whole = dataset.read(tmp_path)
    assert not len(broken.samples) and broken.trouble
    assert len(whole.samples) == 2_400 and not whole.trouble


def test_what_is_no_dataset_is_named(tmp_path: Path) -> None:
    assert list(dataset.read(tmp_path)) == []
    with pytest.raises(InputError, match=r"no data/train-\*\.parquet there"):
        dataset.count(tmp_path)
    write(tmp_path, "validation", [{"words": "Hi."}])
    with pytest.raises(InputError, match=r"not a dataset of clips .it has no column 'text'"):
        list(dataset.read(tmp_path))
    (tmp_path / "data" / "train-00000-of-00001.parquet").write_text("no parquet")
    for reading in (lambda: dataset.count(tmp_path), lambda: list(dataset.read(tmp_path))):
        with pytest.raises(InputError, match=r"train-.*: not a dataset of clips"):
            reading()
