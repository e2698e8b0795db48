"""vc-download fetches one recording with its provenance, or says in one line why it cannot."""

import errno
import hashlib
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vc_core import errors, files
from vc_download import caps, cli, engine, scratch
from vc_download.options import DownloadOptions

RATE = 16_000
SECONDS = 1.5


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A tone: mono, 16 kHz, 1.5 s."""
    path = tmp_path / "talk one.wav"
    time = np.arange(round(SECONDS * RATE)) / RATE
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 220 * time), RATE)
    return path


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], check=True)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def assert_one_line(said: str, *parts: str) -> None:
    assert len(said.splitlines()) == 1, said
    assert "\x1b" not in said
    assert "yt-dlp" not in said
    for part in parts:
        assert part in said, said


def test_a_local_file_becomes_wav_with_provenance(recording: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "source.wav"
    assert cli.main([str(recording), "-o", str(output), "--licence", "CC0-1.0"]) == errors.OK

    found = soundfile.info(output)
    assert (found.samplerate, found.channels, found.subtype) == (44_100, 2, "PCM_16")
    assert found.frames == round(SECONDS * 44_100)
    assert left_in(output.parent) == ["source.json", "source.wav", "source.wav.run.json"]

    told = files.read_json(output.with_suffix(".json"))
    assert told["id"] == "talk one"
    assert (told["file"], told["url"]) == ("talk one.wav", None)
    assert told["licence"] == "CC0-1.0"
    assert told["duration"] == pytest.approx(SECONDS)
    assert told["audio"]["sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert told["original"] == {
        "container": "wav",
        "codec": "pcm_s16le",
        "rate": RATE,
        "channels": 1,
        "seconds": SECONDS,
        "bytes": recording.stat().st_size,
        "sha256": hashlib.sha256(recording.read_bytes()).hexdigest(),
    }
    assert told["versions"]["ffmpeg"]


def test_rate_channels_and_id_are_chosen(recording: Path, tmp_path: Path) -> None:
    output = tmp_path / "source.wav"
    chosen = ["--sample-rate", "24000", "--channels", "1", "--id", "talk-1"]
    assert cli.main([recording.as_uri(), "-o", str(output), *chosen]) == errors.OK
    found = soundfile.info(output)
    assert (found.samplerate, found.channels, found.frames) == (24_000, 1, round(SECONDS * 24_000))
    assert files.read_json(output.with_suffix(".json"))["id"] == "talk-1"


def test_the_audio_track_of_a_video_is_taken(recording: Path, tmp_path: Path) -> None:
    video = tmp_path / "talk.mkv"
    picture = ["-f", "lavfi", "-i", f"color=size=32x32:duration={SECONDS}"]
    ffmpeg(*picture, "-i", recording, "-c:a", "libopus", video)
    assert cli.main([str(video), "-o", str(tmp_path / "source.wav")]) == errors.OK
    assert soundfile.info(tmp_path / "source.wav").duration == pytest.approx(SECONDS, abs=0.05)
    assert files.read_json(tmp_path / "source.json")["original"]["codec"] == "opus"


def test_local_files_that_are_no_recordings_leave_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.wav").write_text("no audio at all\n" * 100)
    (tmp_path / "zero.wav").write_bytes(b"")
    soundfile.write(tmp_path / "still.wav", np.zeros((0, 2)), RATE)
    ffmpeg("-f", "lavfi", "-i", "color=size=32x32:duration=1", tmp_path / "silent-film.mkv")
    out = tmp_path / "out"
    for name, part in [
        ("missing.wav", "no such file"),
        ("text.wav", "not a media file"),
        ("zero.wav", "empty"),
        ("still.wav", "lasts 0 s"),
        ("silent-film.mkv", "no audio"),
        ("", "folder"),
    ]:
        source = str(tmp_path / name)
        assert cli.main([source, "-o", str(out / "source.wav")]) == errors.BAD_INPUT, name
        assert_one_line(capfd.readouterr().err, source, part)
        assert left_in(out) == []


@pytest.mark.parametrize(
    ("url", "reason", "part"),
    [
        ("ftp://127.0.0.1/a.wav", "unsupported_url", "ftp is neither"),
        ("https://me:secret@127.0.0.1/a.wav", "unsupported_url", "download.cookies"),
    ],
)
def test_urls_that_are_not_taken(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], url: str, reason: str, part: str
) -> None:
    output = tmp_path / "out" / "source.wav"
    assert cli.main([url, "-o", str(output), "--record-failure"]) == errors.BAD_INPUT
    said = capfd.readouterr().err
    assert_one_line(said, part)
    assert "secret" not in said
    told = files.read_json(output.with_name("source.wav.failed.json"))
    assert told["reason"] == reason
    assert told["mend"] in said


def test_only_files_in_allowed_folders_are_taken_links_followed(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    outside, inside, link = recording, allowed / "talk.wav", allowed / "link.wav"
    inside.write_bytes(recording.read_bytes())
    link.symlink_to(outside)
    output = tmp_path / "out" / "source.wav"
    monkeypatch.setenv("DOWNLOAD_FOLDERS", str(allowed))
    assert cli.main([str(inside), "-o", str(output)]) == errors.OK
    for path in (outside, link, allowed / ".." / outside.name):
        output.unlink(missing_ok=True)
        assert cli.main([str(path), "-o", str(output), "--record-failure"]) == errors.BAD_INPUT
        told = files.read_json(output.with_name("source.wav.failed.json"))
        assert told["reason"] == "refused_address"
        assert not output.exists()


def test_a_section_is_cut_to_the_sample(recording: Path, tmp_path: Path) -> None:
    output = tmp_path / "source.wav"
    chosen = ["--start", "0.25", "--end", "1.25", "--sample-rate", str(RATE), "--channels", "1"]
    assert cli.main([str(recording), "-o", str(output), *chosen]) == errors.OK
    whole, _ = soundfile.read(recording)
    part, _ = soundfile.read(output)
    np.testing.assert_allclose(part, whole[RATE // 4 : RATE * 5 // 4], atol=2 / 32768)
    assert files.read_json(output.with_suffix(".json"))["section"] == {"start": 0.25, "end": 1.25}


def test_a_section_that_is_none_is_refused(
    recording: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / "source.wav"
    for chosen, part in [(["--start", "5"], "1.5"), (["--start", "1", "--end", "1"], "after")]:
        assert cli.main([str(recording), "-o", str(output), *chosen]) == errors.BAD_INPUT
        assert_one_line(capfd.readouterr().err, part)
        assert left_in(output.parent) == []


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("--max-seconds=1", "too_long"), ("--max-mb=0.01", "too_large")],
)
def test_limits_are_kept(recording: Path, tmp_path: Path, limit: str, reason: str) -> None:
    output = tmp_path / "out" / "source.wav"
    command = [str(recording), "-o", str(output), "--record-failure", limit]
    assert cli.main(command) == errors.BAD_INPUT
    assert files.read_json(tmp_path / "out" / "source.wav.failed.json")["reason"] == reason
    assert left_in(output.parent) == ["source.wav.failed.json"]


def test_a_section_counts_for_the_limit_not_the_whole(recording: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "source.wav"
    command = [str(recording), "-o", str(output), "--max-seconds=1", "--end=0.5"]
    assert cli.main(command) == errors.OK


def test_a_disk_without_room_is_told_before_decoding(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(caps.shutil, "disk_usage", lambda _: usage._replace(free=100_000))
    output = tmp_path / "out" / "source.wav"
    command = [str(recording), "-o", str(output), "--record-failure"]
    assert cli.main(command) == errors.TRY_AGAIN
    assert files.read_json(tmp_path / "out" / "source.wav.failed.json")["reason"] == "disk_full"
    assert left_in(output.parent) == ["source.wav.failed.json"]


def test_a_disk_that_fills_up_is_told(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(engine.decode, "to_wav", full)
    output = tmp_path / "out" / "source.wav"
    command = [str(recording), "-o", str(output), "--record-failure"]
    assert cli.main(command) == errors.TRY_AGAIN
    assert files.read_json(tmp_path / "out" / "source.wav.failed.json")["reason"] == "disk_full"


def test_a_failed_run_keeps_the_earlier_output(
    recording: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / "source.wav"
    assert cli.main([str(recording), "-o", str(output)]) == errors.OK
    before = {path.name: path.read_bytes() for path in output.parent.iterdir()}
    assert cli.main([str(tmp_path / "gone.wav"), "-o", str(output)]) == errors.BAD_INPUT
    assert {path.name: path.read_bytes() for path in output.parent.iterdir()} == before
    capfd.readouterr()


def test_secrets_stand_in_no_record_and_no_help(
    recording: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DOWNLOAD_PROXY", "http://me:hush@proxy.example")
    monkeypatch.setenv("DOWNLOAD_USER_AGENT", "hush agent")
    output = tmp_path / "source.wav"
    command = [str(recording), "-o", str(output), "--cookies", str(tmp_path / "hush.txt")]
    assert cli.main(command) == errors.OK
    assert "hush" not in output.with_name("source.wav.run.json").read_text()
    assert "hush" not in output.with_suffix(".json").read_text()
    with pytest.raises(SystemExit):
        cli.build_parser().parse_args(["--help"])
    assert "hush" not in capsys.readouterr().out


def test_two_downloads_do_not_write_to_one_place(recording: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "source.wav"
    with scratch.scratch(output, {"source": "another"}):
        assert cli.main([str(recording), "-o", str(output)]) == errors.TRY_AGAIN
    assert cli.main([str(recording), "-o", str(output)]) == errors.OK


@pytest.mark.parametrize("command", [["--sleep", "x"], ["--rate-limit", "fast"], ["--end", "-1"]])
def test_options_are_checked(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(recording), "-o", str(tmp_path / "source.wav"), *command])
    assert ended.value.code == errors.USAGE
    assert command[1] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "bytes_a_second"), [("", None), ("700", 700), ("500K", 500_000), ("1.5m", 1_500_000)]
)
def test_a_rate_limit_has_a_unit(said: str, bytes_a_second: int | None) -> None:
    assert DownloadOptions(rate_limit=said).bytes_a_second == bytes_a_second


@pytest.mark.parametrize("name", ["allow_hosts", "folders"])
def test_several_values_are_a_list_in_the_configuration(name: str) -> None:
    with pytest.raises(ValueError, match=r"must be a list; write \[media.lab\]"):
        DownloadOptions.model_validate({name: "media.lab"})


def test_the_command_line_goes_before_the_environment(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOWNLOAD_MAX_SECONDS", "1")
    command = [str(recording), "-o", str(tmp_path / "source.wav")]
    assert cli.main(command) == errors.BAD_INPUT
    assert cli.main([*command, "--max-seconds", "60"]) == errors.OK
