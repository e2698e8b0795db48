"""A dataset that the Hugging Face library reads, split without leaks."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vc_core import audio, errors, manifests
from vc_core.manifests import Clip
from vc_dataset import cli, split


def clip(source: str, number: int, seconds: float = 2.0) -> Clip:
    name = f"{source}-{number:03d}"
    start = number * 5.0
    return Clip(
        name, f"{name}.flac", f"Sentence {number}.", "ada", source, start, start + seconds,
        seconds, "en", "CC0-1.0", 0.9, 0.95, 3.1, -23.0,
    )  # fmt: skip


def write_clips(folder: Path, clips: list[Clip]) -> Path:
    folder.mkdir()
    for row in clips:
        tone = 0.1 * np.sin(np.arange(round(row.seconds * 24_000)) * 0.1 * (1 + len(row.clip)))
        audio.write(folder / row.file_name, tone.astype(np.float32), 24_000)
    manifests.write_rows(folder / "metadata.jsonl", clips)
    return folder


def test_few_sources_are_split_by_contiguous_time() -> None:
    splits, how = split.by_source_or_time([clip("a", n) for n in range(20)], 0.1, 0.2)
    assert how == "time"
    numbers = {name: [round(c.start / 5) for c in clips] for name, clips in splits.items()}
    assert numbers == {
        "train": list(range(14)),
        "validation": [14, 15],
        "test": [16, 17, 18, 19],
    }


def test_many_sources_are_held_out_whole() -> None:
    clips = [clip(f"s{s}", n) for s in range(10) for n in range(3)]
    splits, how = split.by_source_or_time(clips, 0.1, 0.1)
    assert how == "source"
    held = {name: {c.source for c in part} for name, part in splits.items()}
    assert len(held["test"]) == len(held["validation"]) == 1
    assert not held["train"] & (held["test"] | held["validation"])
    assert sum(len(part) for part in splits.values()) == 30


@pytest.mark.parametrize("count", [1, 2, 3])
def test_training_keeps_a_clip_however_few_there_are(count: int) -> None:
    splits, _ = split.by_source_or_time([clip("a", n) for n in range(count)], 0.1, 0.1)
    assert len(splits["train"]) >= 1
    assert sum(len(part) for part in splits.values()) == count


def test_the_folder_loads_with_the_hugging_face_library(tmp_path: Path) -> None:
    import datasets

    folder = write_clips(tmp_path / "talk", [clip("talk", n) for n in range(10)])
    argv = [str(folder), "--voice", "ada", "--consent", "Ada Example, written, 2026-01-10"]
    assert cli.main([*argv, "-o", str(tmp_path / "dataset")]) == errors.OK
    loaded = datasets.load_dataset(str(tmp_path / "dataset"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in loaded.items()} == {
        "train": 8,
        "validation": 1,
        "test": 1,
    }
    train = loaded["train"]
    assert train.features["audio"].sampling_rate == 24_000
    row = train.cast_column("audio", datasets.Audio(decode=False))[0]
    samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    assert (rate, len(samples)) == (24_000, 48_000)
    assert (row["text"], row["source"], row["licence"]) == ("Sentence 0.", "talk", "CC0-1.0")
    card = (tmp_path / "dataset" / "README.md").read_text()
    assert "Ada Example, written, 2026-01-10" in card
    assert "| talk | CC0-1.0 | 10 | 20.0 |" in card


def test_no_clips_at_all_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_clips(tmp_path / "empty", [])
    argv = [str(folder), "--voice", "ada", "--consent", "yes", "-o", str(tmp_path / "dataset")]
    assert cli.main(argv) == errors.BAD_INPUT
    assert "no clips" in capsys.readouterr().err
    assert not (tmp_path / "dataset").exists()


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    argv = [str(tmp_path / "no"), "--voice", "a", "--consent", "c", "-o", str(tmp_path / "d")]
    assert cli.main(argv) == errors.BAD_INPUT


@pytest.mark.parametrize(
    "wrong",
    [("--consent", ""), ("--test", "0.6"), ("--validation", "-0.1"), ("--rate-outliers", "-1")],
)
def test_a_wrong_value_ends_with_the_usage(
    tmp_path: Path, wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(tmp_path), "--voice", "a", "--consent", "c", "-o", str(tmp_path / "d")]
    with pytest.raises(SystemExit) as usage:
        cli.main([*argv, *wrong])
    assert usage.value.code == errors.USAGE
    assert f"argument {wrong[0]}: {wrong[1]!r}" in capsys.readouterr().err


def test_no_consent_is_no_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as usage:
        cli.main([str(tmp_path), "--voice", "a", "-o", str(tmp_path / "d")])
    assert usage.value.code == errors.USAGE
    assert "--consent" in capsys.readouterr().err
