"""Words of the target alone, with times in the recording."""

from pathlib import Path

import numpy as np
import pytest

from vc_common import audio, errors, manifests, text
from vc_common.manifests import Segment, Word
from vc_transcribe import cli, stretches

RATE = 16_000


def row(label: str, start: float, end: float) -> Segment:
    return Segment(start, end, label)


def test_stretches_join_over_pauses_but_not_over_people() -> None:
    rows = [
        row("target", 0, 3),
        row("silence", 3, 4),
        row("target", 4, 6),
        row("other", 6, 7),
        row("target", 7, 9),
        row("silence", 9, 12),
        row("target", 12, 13),
    ]
    assert stretches.of_target(rows) == [(0, 6), (7, 9), (12, 13)]


def test_stretches_fit_what_whisper_hears_at_once() -> None:
    rows = [row("target", 0, 70), row("silence", 70, 70.5), row("target", 70.5, 80)]
    spans = stretches.of_target(rows)
    assert all(end - start <= stretches.LONGEST for start, end in spans)
    assert (spans[0][0], spans[-1][1]) == (0, 80)


@pytest.fixture(scope="module")
def recording(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A stranger's sentence, then two of Kathleen's; returns the folder and her texts."""
    folder = tmp_path_factory.mktemp("recording")
    lines = (speech / "kathleen" / "metadata.csv").read_text("utf-8").splitlines()
    said = dict(line.split("|", 1) for line in lines)
    names = ["arctic_a0003", "arctic_a0004"]
    mine = [audio.read(speech / "kathleen" / "flac24k" / f"{n}.flac", RATE)[0] for n in names]
    stranger = audio.read(sorted((speech / "librispeech").glob("*.flac"))[0], RATE)[0][: 5 * RATE]
    gap = np.zeros(RATE // 2, np.float32)
    track = np.concatenate([stranger, gap, mine[0], gap, mine[1], gap])
    audio.write(folder / "vocals.flac", track, RATE)
    first = 5.5 + len(mine[0]) / RATE
    end = len(track) / RATE
    manifests.write_rows(
        folder / "segments.jsonl",
        [
            row("other", 0, 5),
            row("silence", 5, 5.5),
            row("target", 5.5, first),
            row("silence", first, first + 0.5),
            row("target", first + 0.5, end - 0.5),
            row("silence", end - 0.5, end),
        ],
    )
    return folder, [said[name] for name in names]


def test_only_the_targets_words_are_heard_in_their_place(
    recording: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, texts = recording
    out = tmp_path / "words.jsonl"
    argv = [str(folder / "vocals.flac"), str(folder / "segments.jsonl"), "-o", str(out)]
    assert cli.main(argv) == errors.OK
    words = manifests.read_rows(out, Word)
    heard = " ".join(word.word for word in words)
    assert text.word_error_rate([" ".join(texts)], [heard]) <= 0.15
    assert words[0].start >= 5.0
    assert words[-1].end <= audio.probe(folder / "vocals.flac").seconds + 0.3
    assert {word.language for word in words} == {"en"}


def test_segments_without_the_target_are_refused(
    recording: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = recording
    manifests.write_rows(tmp_path / "segments.jsonl", [row("other", 0, 5)])
    argv = [str(folder / "vocals.flac"), str(tmp_path / "segments.jsonl")]
    assert cli.main([*argv, "-o", str(tmp_path / "words.jsonl")]) == errors.BAD_INPUT
    assert "the target speaks nowhere" in capsys.readouterr().err
    assert not (tmp_path / "words.jsonl").exists()


def test_a_model_that_is_not_there_is_named(
    recording: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = recording
    argv = [str(folder / "vocals.flac"), str(folder / "segments.jsonl")]
    argv += ["--model", str(tmp_path / "no-model"), "-o", str(tmp_path / "words.jsonl")]
    assert cli.main(argv) == errors.BAD_INPUT
    assert "no such folder" in capsys.readouterr().err
