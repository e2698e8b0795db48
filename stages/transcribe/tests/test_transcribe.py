"""Words of the target alone, with times in the recording."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vc_core import audio, errors, manifests, media
from vc_core.manifests import Segment, Word
from vc_speech import text, whisper
from vc_transcribe import cli, stretches

RATE = 16_000
WHISPER = ("--model", "package:whisper-base")  # what a registry ships


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


def test_stretches_are_widened_into_pauses_more_than_towards_people() -> None:
    rows = [row("silence", 0, 1), row("target", 1, 3), row("other", 3, 4), row("silence", 4, 4.1)]
    rows += [row("target", 4.1, 6)]
    spans = stretches.widened(stretches.of_target(rows), rows, 6.0)
    assert spans == [(0.75, 3.1), (pytest.approx(4.0), 6.0)]


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
    assert cli.main([*argv, *WHISPER]) == errors.OK
    words = manifests.read_rows(out, Word)
    heard = " ".join(word.word for word in words)
    assert text.word_error_rate([" ".join(texts)], [heard]) <= 0.15
    assert words[0].start >= 5.0
    assert words[-1].end <= media.probe(folder / "vocals.flac").seconds + 0.3
    assert {word.language for word in words} == {"en"}
    assert all(0 <= word.confidence <= 1 and word.doubt == "" for word in words)
    starts = [word.start for word in words]
    assert starts == sorted(starts)
    figures = json.loads((tmp_path / "words.jsonl.run.json").read_text())["figures"]
    assert figures["words"] == len(words)
    assert list(figures["seconds_by_language"]) == ["en"]
    assert figures["captions"]["words"] == 0


def test_captions_beside_the_vocals_are_preferred(
    recording: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, texts = recording
    for name in ("vocals.flac", "segments.jsonl"):
        (tmp_path / name).symlink_to(folder / name)
    said = " ".join(texts).replace("twentieth", "20th").replace("two men", "2 men")
    cue = "WEBVTT\n\n00:00.000 --> 00:05.300\nA stranger speaks.\n\n00:05.300 --> 00:13.000\n"
    (tmp_path / "captions.vtt").write_text(f"{cue}[Music] KATHLEEN: {said}\n")
    argv = [str(tmp_path / "vocals.flac"), str(tmp_path / "segments.jsonl"), *WHISPER, "-o"]
    assert cli.main([*argv, str(tmp_path / "with.jsonl")]) == errors.OK
    words = manifests.read_rows(tmp_path / "with.jsonl", Word)
    assert " ".join(word.word for word in words) == said
    assert all(word.captioned for word in words)
    assert {word.spoken for word in words} == {None, "twentieth", "two"}
    assert words[0].disagreement is not None
    assert words[0].disagreement <= 0.2
    assert cli.main([*argv, str(tmp_path / "without.jsonl"), "--captions", "none"]) == errors.OK
    plain = manifests.read_rows(tmp_path / "without.jsonl", Word)
    assert not any(word.captioned for word in plain)
    assert plain[0].disagreement is None
    (tmp_path / "captions.vtt").write_text("no captions at all")
    assert cli.captions_for("auto", tmp_path / "vocals.flac") == []
    argv = [*argv, str(tmp_path / "x.jsonl"), "--captions", str(tmp_path / "captions.vtt")]
    assert cli.main(argv) == errors.BAD_INPUT


def test_windows_heard_as_a_batch_hold_the_same_words(recording: tuple[Path, list[str]]) -> None:
    samples, _ = audio.read(recording[0] / "vocals.flac", RATE)
    pieces = [samples[: 5 * RATE], samples[round(5.4 * RATE) :]]
    transcriber = whisper.load("package:whisper-base", device="cpu", threads=2)
    assert isinstance(transcriber, whisper.Transcriber)
    languages = transcriber.languages_of(pieces)
    assert [language for language, _ in languages] == ["en", "en"]
    together = transcriber.hear_all(pieces, "en")
    one_by_one = [transcriber.hear_all([piece], "en")[0] for piece in pieces]
    for batched, alone in zip(together, one_by_one, strict=True):
        assert batched.text == alone.text
        for one, other in zip(batched.words, alone.words, strict=True):
            assert (one.start, one.end) == pytest.approx((other.start, other.end), abs=0.05)
            # int8 arithmetic rounds a batch a little differently.
            assert one.confidence == pytest.approx(other.confidence, abs=0.05)
            assert type(one.start) is type(one.confidence) is float


def test_a_sound_is_encoded_once_for_language_and_words(
    recording: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from faster_whisper import WhisperModel

    encoded = []
    encode = WhisperModel.encode

    def counted(self: WhisperModel, features: object) -> object:
        encoded.append(features)
        return encode(self, features)

    monkeypatch.setattr(WhisperModel, "encode", counted)
    samples, _ = audio.read(recording[0] / "vocals.flac", RATE)
    transcriber = whisper.Transcriber("package:whisper-base", device="cpu", threads=2)
    transcriber.language_of(samples[: 5 * RATE])
    transcriber.hear_all([samples[: 5 * RATE]], "en")
    assert len(encoded) == 1


OUTSIDE = """
from vc_speech.whisper import Engine, Heard, HeardWord
class Parrot(Engine):
    device = "cpu"
    def __init__(self, argument, device, threads):
        self.language = argument or "en"
    def language_of(self, samples):
        return self.language, 0.99
    def hear(self, samples, language):
        return Heard("hello", [HeardWord(0.2, 0.6, " hello", 0.8)], 0.0, 1.0)
"""


def with_outsider(tmp_path: Path, recording: Path, model: str) -> subprocess.CompletedProcess[str]:
    """Run the command where a package offers the transcriber ``parrot``."""
    package = tmp_path / "package"
    (package / "parrot-1.0.dist-info").mkdir(parents=True)
    (package / "parrot.py").write_text(OUTSIDE)
    (package / "parrot-1.0.dist-info" / "METADATA").write_text("Name: parrot\nVersion: 1.0\n")
    (package / "parrot-1.0.dist-info" / "entry_points.txt").write_text(
        "[voice_clone.transcriber]\nparrot = parrot:Parrot\n"
    )
    line = [
        sys.executable,
        "-c",
        "import sys; from vc_transcribe.cli import main; sys.exit(main())",
    ]
    line += [str(recording / "vocals.flac"), str(recording / "segments.jsonl")]
    line += ["--model", model, "-o", str(tmp_path / "words.jsonl")]
    environment = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


def test_a_transcriber_from_another_package_is_found_by_name(
    recording: tuple[Path, list[str]], tmp_path: Path
) -> None:
    done = with_outsider(tmp_path, recording[0], "parrot")
    assert done.returncode == errors.OK, done.stderr
    words = manifests.read_rows(tmp_path / "words.jsonl", Word)
    assert [word.word for word in words] == ["hello"]
    assert words[0].start >= 5.4


def test_a_recording_in_another_language_is_refused(
    recording: tuple[Path, list[str]], tmp_path: Path
) -> None:
    done = with_outsider(tmp_path, recording[0], "parrot:fr")
    assert done.returncode == errors.BAD_INPUT
    assert "the target speaks fr in it, not en" in done.stderr
    assert not (tmp_path / "words.jsonl").exists()


def test_a_language_that_the_model_does_not_know_is_named(
    recording: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = recording
    argv = [str(folder / "vocals.flac"), str(folder / "segments.jsonl"), "--language", "xx"]
    assert cli.main([*argv, *WHISPER, "-o", str(tmp_path / "words.jsonl")]) == errors.BAD_INPUT
    assert "does not know the language 'xx'" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    "wrong",
    [
        ("--max-disagreement", "1.5"),
        ("--batch-size", "300"),
        ("--captions", "nothing"),
        ("--language", "English"),
    ],
)
def test_a_wrong_value_ends_with_the_usage(
    tmp_path: Path, wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vocals.flac").touch()
    argv = [str(tmp_path / "vocals.flac"), str(tmp_path / "vocals.flac"), "-o", "words.jsonl"]
    with pytest.raises(SystemExit) as usage:
        cli.main([*argv, *wrong])
    assert usage.value.code == errors.USAGE
    assert f"argument {wrong[0]}: {wrong[1]!r}" in capsys.readouterr().err
