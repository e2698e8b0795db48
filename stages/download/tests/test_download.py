"""vc-download fetches one recording with its provenance, or says in one line why it cannot."""

import hashlib
import http.server
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yt_dlp

from vc_common import errors, files
from vc_download import cli, web

RATE = 16_000
SECONDS = 1.5

# The status, content type and body that the site answers to a path.
Answers = dict[str, tuple[int, str, bytes]]

CAPTIONS = b"WEBVTT\n\n00:00.000 --> 00:01.000\nA word by a person.\n"


@pytest.fixture
def answers() -> Answers:
    return {}


@pytest.fixture
def site(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web site on the loopback interface; yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = answers.get(self.path, (404, "text/html", b"<p>not here</p>"))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep stderr to what the command says."""

    # Failures are not waited for.
    monkeypatch.setattr(web, "RETRIES", 0)
    monkeypatch.setattr(web, "TIMEOUT", 5.0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


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
    chosen = ["--rate", "24000", "--channels", "1", "--id", "talk-1"]
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


def test_a_media_file_is_fetched_from_the_web(
    recording: Path, tmp_path: Path, site: str, answers: Answers
) -> None:
    opus = tmp_path / "talk.opus"
    ffmpeg("-i", recording, "-c:a", "libopus", opus)
    answers["/talk.opus"] = (200, "audio/ogg", opus.read_bytes())

    output = tmp_path / "out" / "source.wav"
    assert cli.main([f"{site}/talk.opus", "-o", str(output)]) == errors.OK

    found = soundfile.info(output)
    assert (found.samplerate, found.channels) == (44_100, 2)
    assert found.duration == pytest.approx(SECONDS, abs=0.05)
    assert left_in(output.parent) == ["source.json", "source.wav", "source.wav.run.json"]
    told = files.read_json(output.with_suffix(".json"))
    assert told["url"] == f"{site}/talk.opus"
    assert (told["extractor"], told["id"], told["title"]) == ("generic", "talk", "talk")
    assert told["original"]["sha256"] == hashlib.sha256(opus.read_bytes()).hexdigest()
    assert told["versions"]["yt-dlp"] == yt_dlp.version.__version__
    record = files.read_json(tmp_path / "out" / "source.wav.run.json")
    assert record["figures"]["duration"] == told["duration"]


def test_captions_by_people_come_along_and_go_again(
    recording: Path, tmp_path: Path, site: str, answers: Answers
) -> None:
    page = """<html><title>A talk</title><video src="talk.wav">
        <track kind="subtitles" src="de.vtt" srclang="de">
        <track kind="subtitles" src="en.vtt" srclang="en"></video></html>"""
    answers["/talk.html"] = (200, "text/html", page.encode())
    answers["/talk.wav"] = (200, "audio/x-wav", recording.read_bytes())
    answers["/en.vtt"] = (200, "text/vtt", CAPTIONS)
    output = tmp_path / "out" / "source.wav"
    url = f"{site}/talk.html"

    assert cli.main([url, "-o", str(output), "--language", "en-GB"]) == errors.OK
    assert (output.parent / "captions.vtt").read_bytes() == CAPTIONS
    assert files.read_json(output.with_suffix(".json"))["captions"] == "captions.vtt"

    # Captions that cannot be had cost no recording, and those of the last run go.
    assert cli.main([url, "-o", str(output), "--language", "de"]) == errors.OK
    assert not (output.parent / "captions.vtt").exists()
    assert files.read_json(output.with_suffix(".json"))["captions"] is None


@pytest.mark.parametrize(
    ("there", "wanted", "chosen"),
    [
        (["de", "en"], "en", "en"),
        (["de", "en-GB"], "en", "en-GB"),
        (["de", "en"], "en-US", "en"),
        (["de"], "en", None),
        (["de", "en"], None, "en"),
        (["live_chat", "de"], None, "de"),
        ([], None, None),
    ],
)
def test_captions_are_in_the_language_of_the_recording(
    there: list[str], wanted: str | None, chosen: str | None
) -> None:
    assert web._caption_language(there, wanted) == chosen


@pytest.mark.parametrize(
    ("path", "answer", "refused"),
    [
        ("/gone.wav", None, (errors.BAD_INPUT, "HTTP 404")),
        ("/old.wav", (410, "text/html", b""), (errors.BAD_INPUT, "HTTP 410")),
        ("/private.wav", (403, "text/html", b""), (errors.BAD_INPUT, "HTTP 403")),
        ("/busy.wav", (503, "text/html", b""), (errors.TRY_AGAIN, "HTTP 503")),
        ("/often.wav", (429, "text/html", b""), (errors.TRY_AGAIN, "HTTP 429")),
        ("/note.txt", (200, "text/plain", b"words\n" * 99), (errors.BAD_INPUT, "media")),
        ("/note.wav", (200, "audio/x-wav", b"words\n" * 99), (errors.BAD_INPUT, "media")),
        ("/empty.wav", (200, "audio/x-wav", b""), (errors.BAD_INPUT, "empty")),
        ("/page.html", (200, "text/html", b"<html></html>"), (errors.BAD_INPUT, "no recording")),
    ],
)
def test_a_url_that_gives_no_recording_leaves_nothing(
    tmp_path: Path,
    site: str,
    capfd: pytest.CaptureFixture[str],
    answers: Answers,
    path: str,
    answer: tuple[int, str, bytes] | None,
    refused: tuple[int, str],
) -> None:
    code, part = refused
    if answer:
        answers[path] = answer
    out = tmp_path / "out"
    assert cli.main([site + path, "-o", str(out / "source.wav")]) == code
    assert_one_line(capfd.readouterr().err, site + path, part)
    assert left_in(out) == []


@pytest.mark.parametrize(
    ("said", "code", "part"),
    [
        ("ERROR: [youtube] abc: Private video. Sign in if you", errors.BAD_INPUT, "--cookies"),
        ("ERROR: [youtube] abc: Video unavailable", errors.BAD_INPUT, "Video unavailable"),
        ("\x1b[0;31mERROR:\x1b[0m rate-limited by the site", errors.TRY_AGAIN, "patience"),
    ],
)
def test_what_sites_say_in_words_is_understood(said: str, code: int, part: str) -> None:
    failure = web._told_apart("https://site/v", yt_dlp.utils.DownloadError(said))
    assert failure.exit_code == code
    assert_one_line(str(failure), "https://site/v", part)


def test_a_site_that_refuses_connections_is_worth_another_try(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "RETRIES", 0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/talk.wav"
    assert cli.main([url, "-o", str(tmp_path / "out" / "source.wav")]) == errors.TRY_AGAIN
    assert_one_line(capfd.readouterr().err, url, "Connection refused", "later")
    assert left_in(tmp_path / "out") == []


def test_a_site_that_says_nothing_times_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "RETRIES", 0)
    monkeypatch.setattr(web, "TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/talk.wav"
        assert cli.main([url, "-o", str(tmp_path / "out" / "source.wav")]) == errors.TRY_AGAIN
    assert_one_line(capfd.readouterr().err, url, "timed out")
    assert left_in(tmp_path / "out") == []


def test_a_playlist_is_not_one_recording(
    recording: Path,
    tmp_path: Path,
    site: str,
    answers: Answers,
    capfd: pytest.CaptureFixture[str],
) -> None:
    page = b'<html><audio src="a.wav"></audio><audio src="b.wav"></audio></html>'
    answers["/all.html"] = (200, "text/html", page)
    answers["/a.wav"] = answers["/b.wav"] = (200, "audio/x-wav", recording.read_bytes())
    out = tmp_path / "out"
    assert cli.main([f"{site}/all.html", "-o", str(out / "source.wav")]) == errors.BAD_INPUT
    assert_one_line(capfd.readouterr().err, f"{site}/all.html", "one recording")
    assert left_in(out) == []


def test_a_cookie_file_is_read_and_never_written(
    recording: Path, tmp_path: Path, site: str, answers: Answers
) -> None:
    answers["/talk.wav"] = (200, "audio/x-wav", recording.read_bytes())
    cookies = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\nexample.org\tFALSE\t/\tFALSE\t0\tname\tvalue\n"
    cookies.write_text(text)
    out = tmp_path / "out"
    done = cli.main([f"{site}/talk.wav", "-o", str(out / "s.wav"), "--cookies", str(cookies)])
    assert done == errors.OK
    assert cookies.read_text() == text
    assert left_in(out) == ["s.json", "s.wav", "s.wav.run.json"]


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
    ("url", "part"),
    [("ftp://127.0.0.1/a.wav", "ftp"), ("https://me:secret@127.0.0.1/a.wav", "--cookies")],
)
def test_urls_that_are_not_taken(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], url: str, part: str
) -> None:
    assert cli.main([url, "-o", str(tmp_path / "source.wav")]) == errors.BAD_INPUT
    said = capfd.readouterr().err
    assert_one_line(said, part)
    assert "secret" not in said
    assert left_in(tmp_path) == []


def test_a_failed_run_keeps_the_earlier_output(
    recording: Path, tmp_path: Path, site: str, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / "source.wav"
    assert cli.main([str(recording), "-o", str(output)]) == errors.OK
    before = {path.name: path.read_bytes() for path in output.parent.iterdir()}
    assert cli.main([f"{site}/gone.wav", "-o", str(output)]) == errors.BAD_INPUT
    assert {path.name: path.read_bytes() for path in output.parent.iterdir()} == before
    capfd.readouterr()
