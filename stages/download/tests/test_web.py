"""Sites as they are: each answer ends in a recording or in a named reason, and none hangs."""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yt_dlp
from loopback import FOR_EVER, Answer, Site, audio_page, feed, hls, radio, redirect, video_page

from vc_core import errors, files
from vc_download import caps, captions, cli, client, extractors, refusals, resuming, watch
from vc_download.client import Client
from vc_download.options import DownloadOptions

RATE = 16_000
SECONDS = 1.5
CAPTIONS = b"WEBVTT\n\n00:00.000 --> 00:01.000\nA word by a person.\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is allowed, and nothing is waited for long."""
    monkeypatch.setenv("DOWNLOAD_ALLOW_HOSTS", "127.0.0.1")
    monkeypatch.setattr(client, "RETRIES", 1)
    monkeypatch.setattr(client, "TIMEOUT", 1.0)
    monkeypatch.setattr(watch, "STALL", 2.0)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as started:
        yield started


@pytest.fixture(scope="module")
def wav(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A tone: mono, 16 kHz, 1.5 s."""
    path = tmp_path_factory.mktemp("web") / "talk.wav"
    moments = np.arange(round(SECONDS * RATE)) / RATE
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 220 * moments), RATE)
    return path.read_bytes()


@pytest.fixture(scope="module")
def segment(wav: bytes, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The tone as a piece of an HLS stream."""
    path = tmp_path_factory.mktemp("web") / "segment.ts"
    command = ["ffmpeg", "-v", "error", "-i", "-", "-c:a", "aac", "-f", "mpegts", str(path)]
    subprocess.run(command, input=wav, check=True)
    return path.read_bytes()


class Outcome:
    """What one run of the command left and said."""

    def __init__(self, url: str, folder: Path, *options: str) -> None:
        self.output = folder / "out" / "source.wav"
        started = time.monotonic()
        self.code = cli.main([url, "-o", str(self.output), "--record-failure", *options])
        self.seconds = time.monotonic() - started

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = files.read_json(self.output.with_suffix(".json"))
        return told

    @property
    def failed(self) -> dict[str, Any]:
        told: dict[str, Any] = files.read_json(self.output.with_name("source.wav.failed.json"))
        return told

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.output.parent.iterdir())


def opened(url: str) -> contextlib.AbstractContextManager[Client]:
    """A client with the usual options."""
    usual = DownloadOptions()
    return client.opened(url, usual, longest=usual.max_seconds, most=usual.max_bytes)


def talk(body: bytes, **more: Any) -> Answer:
    return Answer(200, body, "audio/x-wav", **more)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"framing": "chunked"},
        {"framing": "close"},
        {"ranges": False},
        {"rate": 100_000},
        {"content_type": "text/plain"},
        {"content_type": "text/html"},
        {"content_type": "application/octet-stream"},
    ],
    ids=str,
)
def test_a_media_file_arrives_however_it_is_sent(
    tmp_path: Path, site: Site, wav: bytes, how: dict[str, Any]
) -> None:
    url = site.add("/talk.wav", dataclasses.replace(talk(wav), **how))
    done = Outcome(url, tmp_path)
    assert done.code == errors.OK
    assert done.left == ["source.json", "source.wav", "source.wav.run.json"]
    assert soundfile.info(done.output).frames == round(SECONDS * 44_100)
    told = done.told
    assert (told["url"], told["canonical_url"], told["extractor"]) == (url, url, "generic")
    assert (told["id"], told["site_id"], told["title"]) == ("talk", "talk", "talk")
    assert told["original"]["sha256"] == hashlib.sha256(wav).hexdigest()
    assert told["versions"]["yt-dlp"] == yt_dlp.version.__version__
    assert told["formats"][-1]["taken"] is True


def test_redirects_are_followed(tmp_path: Path, site: Site, wav: bytes) -> None:
    end = site.add("/talk.wav", talk(wav))
    url = site.add("/short", redirect(site.add("/shorter", redirect(end))))
    done = Outcome(url, tmp_path)
    assert done.code == errors.OK
    assert (done.told["url"], done.told["canonical_url"]) == (url, end)


def test_what_breaks_off_is_gone_on_with(tmp_path: Path, site: Site, wav: bytes) -> None:
    url = site.add("/talk.wav", talk(wav), talk(wav, truncate=20_000), talk(wav))
    assert Outcome(url, tmp_path).code == errors.OK
    asked = [request.range_start for request in site.asked("/talk.wav")]
    assert asked[:2] == [None, None]
    assert 0 < asked[2] <= 20_000


def test_a_run_goes_on_where_the_last_one_was_left(tmp_path: Path, site: Site, wav: bytes) -> None:
    broken = talk(wav, truncate=20_000)
    url = site.add("/talk.wav", talk(wav), broken, talk(wav, truncate=0))
    first = Outcome(url, tmp_path)
    assert (first.code, first.failed["reason"]) == (errors.TRY_AGAIN, "network")
    assert first.left == [".source.wav.partial", "source.wav.failed.json"]

    before = len(site.requests)
    site.add("/talk.wav", talk(wav))
    second = Outcome(url, tmp_path)
    assert second.code == errors.OK
    assert 0 < site.requests[before:][-1].range_start <= 20_000
    assert second.told["original"]["sha256"] == hashlib.sha256(wav).hexdigest()
    assert second.left == ["source.json", "source.wav", "source.wav.run.json"]


@pytest.mark.parametrize(
    "signs", [{}, {"etag": "", "last_modified": 1e9}, {"etag": ""}], ids=["etag", "date", "size"]
)
@pytest.mark.parametrize("conditional", [True, False])
def test_a_file_that_has_changed_is_fetched_anew(
    tmp_path: Path,
    site: Site,
    wav: bytes,
    monkeypatch: pytest.MonkeyPatch,
    signs: dict[str, Any],
    conditional: bool,
) -> None:
    """Never the end of one behind the start of another, even of sites that ignore If-Range."""
    if not conditional:
        monkeypatch.setattr(resuming.Validator, "ask", lambda *_: None)
    broken = talk(wav, truncate=20_000, **signs)
    url = site.add("/talk.wav", broken, broken, talk(wav, truncate=0))
    assert Outcome(url, tmp_path).code == errors.TRY_AGAIN

    other = wav[:44] + bytes(len(wav) + 2000)
    later = {"last_modified": 1.1e9} if "last_modified" in signs else {}
    site.add("/talk.wav", talk(other, **signs | later))
    outcome = Outcome(url, tmp_path)
    if outcome.code == errors.TRY_AGAIN:
        assert "changed" in outcome.failed["message"]
        outcome = Outcome(url, tmp_path)
    assert outcome.told["original"]["sha256"] == hashlib.sha256(other).hexdigest()


def ask_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """As yt-dlp asks YouTube, which slows down who wants everything at once."""
    options = client._options
    monkeypatch.setattr(client, "_options", lambda a: options(a) | {"http_chunk_size": 12_000})


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_run_killed_after_the_last_byte_has_all_of_it(
    tmp_path: Path,
    site: Site,
    wav: bytes,
    monkeypatch: pytest.MonkeyPatch,
    in_pieces: bool,
    changed: bool,
) -> None:
    """Such a run leaves a part that is the whole, of which a site has no rest to send (416)."""
    broken = talk(wav, truncate=20_000)
    url = site.add("/talk.wav", talk(wav), broken, talk(wav, truncate=0))
    assert Outcome(url, tmp_path).code == errors.TRY_AGAIN
    (part,) = tmp_path.rglob("original.part")
    part.write_bytes(wav)

    if in_pieces:
        ask_in_pieces(monkeypatch)
    there = wav
    if changed:  # by as few bytes as yt-dlp allows, on a site that ignores If-Range
        monkeypatch.setattr(resuming.Validator, "ask", lambda *_: None)
        there = wav[:44] + bytes(len(wav) - 84)
    site.add("/talk.wav", talk(there))
    outcome = Outcome(url, tmp_path)
    assert [request.status for request in site.asked("/talk.wav")][-2:] == [416, 200]
    if changed:
        assert "changed" in outcome.failed["message"]
        outcome = Outcome(url, tmp_path)
    assert outcome.told["original"]["sha256"] == hashlib.sha256(there).hexdigest()


@pytest.mark.parametrize("etag", ["auto", ""])
def test_a_file_that_is_asked_for_in_pieces_arrives_whole(
    tmp_path: Path, site: Site, wav: bytes, monkeypatch: pytest.MonkeyPatch, etag: str
) -> None:
    ask_in_pieces(monkeypatch)
    done = Outcome(site.add("/talk.wav", talk(wav, etag=etag)), tmp_path)
    assert done.told["original"]["sha256"] == hashlib.sha256(wav).hexdigest()
    starts = [request.range_start for request in site.asked("/talk.wav")]
    assert starts[1] == 0
    assert len(starts) > 4


def test_another_format_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "original.part").write_bytes(b"opus")
    resuming.keep_only(tmp_path, {"format_id": "251"})
    (tmp_path / "original.part").write_bytes(b"opus")
    resuming.keep_only(tmp_path, {"format_id": "251"})
    assert (tmp_path / "original.part").exists()
    resuming.keep_only(tmp_path, {"format_id": "140"})
    assert not (tmp_path / "original.part").exists()


def refused(site: Site, wav: bytes, segment: bytes) -> dict[str, tuple[list[Answer], str]]:
    """Paths, what the site answers there, and the reason it must end in."""
    piece = site.add("/piece.ts", Answer(200, segment, "video/mp2t"))
    good = site.add("/good.wav", talk(wav))
    return {
        "/loop.wav": ([redirect(site.url + "/loop.wav")], "unsupported_url"),
        "/401.wav": ([Answer(401)], "login_required"),
        "/403.wav": ([Answer(403)], "login_required"),
        "/404.wav": ([Answer(404)], "not_found"),
        "/410.wav": ([Answer(410)], "removed"),
        "/429.wav": ([Answer(429, retry_after=7)], "rate_limited"),
        "/451.wav": ([Answer(451)], "geo_blocked"),
        "/500.wav": ([Answer(500)], "network"),
        "/503.wav": ([Answer(503)], "network"),
        "/words.wav": ([talk(b"words\n" * 99)], "no_audio"),
        "/words.txt": ([Answer(200, b"words\n" * 99, "text/plain")], "no_audio"),
        "/empty.wav": ([talk(b"")], "no_audio"),
        "/page.html": ([Answer(200, b"<html></html>")], "unsupported_url"),
        "/several.html": ([audio_page([good, good + "?2"])], "unsupported_url"),
        "/feed.xml": ([feed([good, good + "?2"])], "unsupported_url"),
        "/short.wav": ([talk(wav, truncate=9000, ranges=False)], "network"),
        "/short-chunked.wav": ([talk(wav, framing="chunked", truncate=9000)], "network"),
        "/short-untold.wav": ([talk(wav, framing="close", truncate=9000)], "network"),
        "/drip.wav": ([talk(wav, drip=0.5)], "network"),
        "/stall.wav": ([talk(wav, stall=5000)], "network"),
        "/silent.wav": ([talk(wav, delay=FOR_EVER)], "network"),
        "/reset.wav": ([talk(wav, reset=True)], "network"),
        "/radio": ([radio(wav)], "live"),
        "/live.m3u8": ([hls([piece], live=True)], "live"),
        "/endless.wav": ([talk(wav, framing="chunked", endless=True)], "too_large"),
        "/large.wav": ([talk(wav, headers={"Content-Length": "9999999999"})], "too_large"),
        "/file.m3u8": ([hls([piece, "file:///etc/passwd"])], "refused_address"),
        "/private.m3u8": ([hls([piece, "http://10.0.0.1/b.ts"])], "refused_address"),
        "/metadata.m3u8": ([hls(["http://169.254.169.254/latest"])], "refused_address"),
        "/to-private.wav": ([redirect("http://192.168.0.1/a.wav")], "refused_address"),
        "/to-loopback.wav": ([redirect("http://127.0.0.2/a.wav")], "refused_address"),
        "/to-file.wav": ([redirect("file:///etc/passwd")], "refused_address"),
        "/to-ftp.wav": ([redirect("ftp://127.0.0.1/a.wav")], "refused_address"),
    }


REFUSED = list(refused(Site(), b"", b""))


@pytest.mark.serial
@pytest.mark.parametrize("path", REFUSED)
def test_what_gives_no_recording_ends_in_its_reason(
    tmp_path: Path,
    site: Site,
    wav: bytes,
    segment: bytes,
    capfd: pytest.CaptureFixture[str],
    path: str,
) -> None:
    answers, reason = refused(site, wav, segment)[path]
    url = site.add(path, *answers)
    ended = Outcome(url, tmp_path, "--max-mb", "10")

    again = reason in ("network", "rate_limited")
    assert ended.failed["reason"] == reason, ended.failed
    assert ended.code == (errors.TRY_AGAIN if again else errors.BAD_INPUT)
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1, said
    assert url in said
    assert ended.failed["mend"] in said
    assert "\x1b" not in said
    assert "yt-dlp" not in said
    assert not ended.output.exists()
    # Where another try may help, what has arrived is kept for it; otherwise nothing is.
    hidden = [".source.wav.partial"] if ".source.wav.partial" in ended.left and again else []
    assert ended.left == [*hidden, "source.wav.failed.json"]
    assert ended.seconds < 20, "it hung"


def test_a_length_that_is_told_too_short_by_the_header_is_no_recording_yet(
    tmp_path: Path, site: Site, wav: bytes
) -> None:
    """A connection that closes early without a Content-Length looks like the end to HTTP."""
    url = site.add("/talk.wav", talk(wav, framing="close", truncate=20_000), talk(wav))
    site.add("/talk.wav", talk(wav), talk(wav, framing="close", truncate=20_000), talk(wav))
    first = Outcome(url, tmp_path)
    assert first.failed["reason"] == "network"
    assert "announces" in first.failed["message"]
    assert Outcome(url, tmp_path).code == errors.OK


@pytest.mark.serial
def test_a_site_that_asks_for_patience_says_how_much(tmp_path: Path, site: Site) -> None:
    for answer in (Answer(429, retry_after=120), Answer(503, retry_after=120, retry_as_date=True)):
        url = site.add("/busy.wav", answer)
        told = Outcome(url, tmp_path).failed
        assert told["retry_at"] == pytest.approx(time.time() + 120, abs=5)


def test_503_and_then_fine(tmp_path: Path, site: Site, wav: bytes) -> None:
    url = site.add("/talk.wav", Answer(503), talk(wav))
    assert Outcome(url, tmp_path).code == errors.TRY_AGAIN
    done = Outcome(url, tmp_path, "--attempt", "2", "--retry-wait", "0")
    assert done.code == errors.OK
    assert done.left == ["source.json", "source.wav", "source.wav.run.json"]


def test_a_site_that_refuses_connections_is_worth_another_try(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/talk.wav"
    ended = Outcome(url, tmp_path)
    assert ended.failed["reason"] == "network"
    assert "Connection refused" in ended.failed["message"]


def stream(kind: str, site: Site, wav: bytes, folder: Path) -> tuple[str, list[Path]]:
    """The URL of ``wav`` as a stream of the site, HLS or DASH, and its pieces in order."""
    folder.mkdir()
    how, name, pattern, content_type = {
        "hls": ("-hls_list_size 0 -hls_time", "talk.m3u8", "*.ts", "application/vnd.apple.mpegurl"),
        "dash": ("-seg_duration", "talk.mpd", "*.m4s", "application/dash+xml"),
    }[kind]
    command = ["ffmpeg", "-v", "error", "-i", "-", "-c:a", "aac", "-ar", "48000"]
    command += ["-f", kind, *how.split(), "0.3", str(folder / name)]
    subprocess.run(command, input=wav, check=True)
    for path in folder.iterdir():
        site.add(f"/{path.name}", Answer(200, path, content_type))
    # That of DASH which begins them all is called init, the others chunk.
    pieces = sorted(folder.glob(pattern), key=lambda path: (path.name[0] != "i", path.name))
    assert 3 < len(pieces) < 10
    return f"{site.url}/{name}", pieces


@pytest.mark.parametrize("kind", ["hls", "dash"])
def test_a_stream_of_pieces_becomes_one_recording(
    tmp_path: Path, site: Site, wav: bytes, kind: str
) -> None:
    url, _ = stream(kind, site, wav, tmp_path / "stream")
    done = Outcome(url, tmp_path)
    assert done.code == errors.OK
    assert soundfile.info(done.output).duration == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize("kind", ["hls", "dash"])
@pytest.mark.parametrize("killed", ["never", "appended", "noting", "noted", "piece"])
def test_no_piece_of_a_stream_is_there_twice(
    tmp_path: Path, site: Site, wav: bytes, killed: str, kind: str
) -> None:
    """Whatever yt-dlp was at between two pieces when it was killed."""
    url, pieces = stream(kind, site, wav, tmp_path / "stream")
    site.add(f"/{pieces[2].name}", Answer(200, pieces[2], truncate=0))
    assert Outcome(url, tmp_path).code == errors.TRY_AGAIN
    (part,) = tmp_path.rglob("original.part")
    there = b"".join(piece.read_bytes() for piece in pieces[:2])
    assert part.read_bytes() == there

    third, notes = pieces[2].read_bytes(), part.with_name("original.ytdl")
    if killed == "piece":
        part.with_name("original.part-Frag2.part").write_bytes(third)
    elif killed != "never":
        part.write_bytes(there + third)
    if killed in ("noting", "noted"):
        told = {"downloader": {"current_fragment": {"index": 3}}}
        notes.write_text(json.dumps(told) if killed == "noted" else "")

    site.add(f"/{pieces[2].name}", Answer(200, pieces[2]))
    whole = b"".join(piece.read_bytes() for piece in pieces)
    told = Outcome(url, tmp_path).told
    assert told["original"]["sha256"] == hashlib.sha256(whole).hexdigest()
    assert len(site.asked(f"/{pieces[0].name}")) == (2 if killed == "noting" else 1)


def test_what_was_noted_of_a_stream_goes_with_it(tmp_path: Path) -> None:
    """A run killed before it makes a new part must not find the notes of the old one."""
    left = {"part": "two", "ytdl": "", "fragments.json": '{"next": 0, "bytes": 0}'}
    for ending, text in left.items():
        (tmp_path / f"original.{ending}").write_text(text)
    resuming.Fragments(tmp_path / "original").settle()
    assert not list(tmp_path.iterdir())


def test_captions_by_people_come_along_and_go_again(tmp_path: Path, site: Site, wav: bytes) -> None:
    media = site.add("/talk.wav", talk(wav))
    english = site.add("/en.vtt", Answer(200, CAPTIONS, "text/vtt"))
    url = site.add("/talk.html", video_page(media, {"de": site.url + "/none", "en": english}))

    first = Outcome(url, tmp_path, "--language", "en-GB")
    assert first.code == errors.OK
    assert "A word by a person." in (first.output.parent / "captions.vtt").read_text()
    told = first.told
    assert told["captions"] == "captions.vtt"
    assert (told["captions_by"], told["captions_language"]) == ("people", "en")

    # Captions that cannot be had cost no recording, and those of the last run go.
    second = Outcome(url, tmp_path, "--language", "de")
    assert second.code == errors.OK
    assert not (second.output.parent / "captions.vtt").exists()
    assert second.told["captions"] is None

    assert Outcome(url, tmp_path, "--language", "en", "--captions", "none").told["captions"] is None


def test_captions_of_a_section_count_from_its_start(tmp_path: Path, site: Site, wav: bytes) -> None:
    media = site.add("/talk.wav", talk(wav))
    text = b"WEBVTT\n\n00:00.100 --> 00:00.300\nBefore.\n\n00:01.000 --> 00:01.400\nWithin.\n"
    english = site.add("/en.vtt", Answer(200, text, "text/vtt"))
    url = site.add("/talk.html", video_page(media, {"en": english}))
    done = Outcome(url, tmp_path, "--language", "en", "--start", "0.75")
    assert done.code == errors.OK
    written = (done.output.parent / "captions.vtt").read_text()
    assert "00:00.250 --> 00:00.650\nWithin." in written
    assert "Before" not in written


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
    assert captions.fitting(there, wanted) == chosen


@pytest.mark.parametrize(("whose", "by"), [("people", None), ("any", "automatic"), ("none", None)])
def test_automatic_captions_are_taken_when_asked_for(
    tmp_path: Path, whose: str, by: str | None
) -> None:
    track = {"ext": "vtt", "data": CAPTIONS.decode()}
    info = {"subtitles": {}, "automatic_captions": {"en": [{"ext": "json3", "url": "x"}, track]}}
    with opened("https://site/v") as made:
        found = captions.fetch(made, info, tmp_path, "en", whose)
    assert (found.by if found else None) == by


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("[youtube] abc: Private video. Sign in if you've been granted access", "private"),
        ("[youtube] abc: Sign in to confirm you’re not a bot. Use --cookies", "bot_check"),
        ("[youtube] abc: Sign in to confirm your age. This video may be", "age_restricted"),
        ("[youtube] abc: Video unavailable", "not_found"),
        ("Video unavailable. This video has been removed by the uploader", "removed"),
        ("This video is no longer available because the account was terminated", "removed"),
        ("The uploader has not made this video available in your country", "geo_blocked"),
        ("Join this channel to get access to members-only content", "login_required"),
        ("This live event will begin in 3 hours.", "live"),
        ("Premieres in 2 days", "live"),
        ("\x1b[0;31mERROR:\x1b[0m rate-limited by the site, try again later", "rate_limited"),
        ("Requested format is not available. Use --list-formats", "no_audio"),
        ("Unsupported URL: https://site/private-video/sign-in", "unsupported_url"),
        ("Unable to extract title; please report this issue on ", "unsupported_url"),
        ("unable to write data: [Errno 28] No space left on device", "disk_full"),
    ],
)
def test_what_sites_say_in_words_is_understood(said: str, reason: str) -> None:
    failure = refusals.told_apart("https://site/v", yt_dlp.utils.DownloadError(said))
    assert failure.details["reason"] == reason
    line = str(failure)
    assert line.startswith("https://site/v: ")
    assert len(line.splitlines()) == 1
    assert "please report" not in line


@pytest.mark.parametrize("error", [AttributeError("x"), yt_dlp.utils.ExtractorError("Unable to")])
def test_what_yt_dlp_does_not_understand_is_no_bug_of_ours(
    tmp_path: Path,
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    """As when a site has changed, and its extractor stumbles over what it finds."""
    source = "def extract(*_, **__): raise error"
    code = compile(source, yt_dlp.extractor.generic.__file__, "exec")
    names: dict[str, Any] = {"error": error}
    exec(code, names)
    monkeypatch.setattr(yt_dlp.extractor.generic.GenericIE, "_real_extract", names["extract"])
    ended = Outcome(site.url + "/page.html", tmp_path)
    assert ended.code == errors.BAD_INPUT
    assert ended.failed["reason"] == "unsupported_url"
    assert "newer yt-dlp" in ended.failed["mend"]
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_cookies_user_agent_and_proxy_are_used_and_never_told(
    tmp_path: Path, site: Site, wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy is a site here: it is asked for the whole URL of another, and answers itself."""
    cookies = tmp_path / "cookies.txt"
    text = (
        "# Netscape HTTP Cookie File\nmedia.example\tFALSE\t/\tFALSE\t0\tsession\tsecret-cookie\n"
    )
    cookies.write_text(text)
    monkeypatch.setenv("DOWNLOAD_COOKIES", str(cookies))
    monkeypatch.setenv("DOWNLOAD_USER_AGENT", "secret-agent/1.0")
    monkeypatch.setenv("DOWNLOAD_PROXY", site.url)
    monkeypatch.setenv("DOWNLOAD_ALLOW_HOSTS", "")
    site.add("http://media.example/talk.wav", talk(wav))
    done = Outcome("http://media.example/talk.wav", tmp_path)
    assert done.code == errors.OK
    for request in site.requests:
        assert request.headers["user-agent"] == "secret-agent/1.0"
        assert request.headers["cookie"] == "session=secret-cookie"
    assert cookies.read_text() == text
    for path in done.output.parent.iterdir():
        assert b"secret-" not in path.read_bytes(), path


@pytest.mark.parametrize("text", [None, "no cookies\n"])
def test_a_cookie_file_that_is_none_is_named(
    tmp_path: Path, site: Site, capfd: pytest.CaptureFixture[str], text: str | None
) -> None:
    cookies = tmp_path / "cookies.txt"
    if text:
        cookies.write_text(text)
    ended = Outcome(site.url + "/talk.wav", tmp_path, "--cookies", str(cookies))
    assert ended.code == errors.BAD_INPUT
    assert "cookies" in capfd.readouterr().err
    assert site.requests == []


def test_a_disk_without_room_is_told_before_the_download(
    tmp_path: Path, site: Site, wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(caps.shutil, "disk_usage", lambda _: usage._replace(free=20_000))
    ended = Outcome(site.add("/talk.wav", talk(wav)), tmp_path)
    assert (ended.code, ended.failed["reason"]) == (errors.TRY_AGAIN, "disk_full")
    assert ended.left == ["source.wav.failed.json"]


@pytest.mark.serial
def test_a_rate_limit_slows_down(tmp_path: Path, site: Site, wav: bytes) -> None:
    url = site.add("/talk.wav", talk(wav))
    assert Outcome(url, tmp_path, "--rate-limit", "40K").seconds > len(wav) / 40_000 * 0.7


def test_what_the_net_calls_itself_never_becomes_a_path(
    tmp_path: Path, site: Site, wav: bytes
) -> None:
    named = {"Content-Disposition": 'attachment; filename="../../evil.wav"'}
    site.add("/evil.php", talk(wav, headers=named))
    site.add("/evil.vtt", Answer(200, CAPTIONS, "text/vtt"))
    page = """<html><title>../../../evil\x07</title><video src="/evil.php?a=../../evil.wav">
        <track kind="subtitles" src="/evil.vtt" srclang="../../evil"></video></html>"""
    url = site.add("/page.html", Answer(200, page.encode()))
    done = Outcome(url, tmp_path, "--language", "../../evil")
    assert done.code == errors.OK
    assert done.left == ["captions.vtt", "source.json", "source.wav", "source.wav.run.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert done.told["title"] == "../../../evil (1)"


def test_nothing_but_the_url_decides_what_happens(
    tmp_path: Path, site: Site, wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration of yt-dlp's own, with a command to run, is not read."""
    home = tmp_path / "home"
    (home / ".config" / "yt-dlp").mkdir(parents=True)
    (home / ".config" / "yt-dlp" / "config").write_text(f"--exec 'touch {tmp_path}/evil'\n")
    (home / "yt-dlp.conf").write_text("--no-download\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.chdir(home)
    assert Outcome(site.add("/talk.wav", talk(wav)), tmp_path).code == errors.OK
    assert not (tmp_path / "evil").exists()


def test_a_media_file_of_a_site_is_left_to_the_site() -> None:
    """By yt-dlp's own examples of every site, as far as they end like media files."""
    code = """
import urllib.parse
from yt_dlp.extractor import gen_extractor_classes
from vc_download import extractors
sites = [site for site in gen_extractor_classes() if site.ie_key() != "Generic"]
urls = [case["url"] for site in sites for case in site.get_testcases(include_onlymatching=True)]
media = [url for url in urls if urllib.parse.urlsplit(url).path.endswith((".mp3", ".mp4", ".m4a"))]
print(len(media), [url for url in media if extractors.is_plain_file(url)])
"""
    command = [sys.executable, "-c", code]
    environment = os.environ | {"YTDLP_NO_LAZY_EXTRACTORS": "1"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    count, plain = said.stdout.split(maxsplit=1)
    assert int(count) > 5
    assert plain.strip() == "[]"


def test_a_media_file_of_nobody_is_plain() -> None:
    assert extractors.is_plain_file("http://127.0.0.1:80/talks/one.mp3?signed=yes")
    assert extractors.is_plain_file("https://ada-speaks.example/one.opus")
    assert not extractors.is_plain_file("https://ada-speaks.example/watch?v=one.opus")


def test_a_file_that_leads_to_a_page_is_found_all_the_same(
    tmp_path: Path, site: Site, wav: bytes
) -> None:
    media = site.add("/talk", talk(wav))
    url = site.add("/talk.mp3", redirect(site.add("/talk.html", video_page(media, {}))))
    assert Outcome(url, tmp_path).code == errors.OK


def test_a_javascript_runtime_is_there_for_youtube(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "STALL", 60.0)  # the first start of one takes its time
    with opened("https://site/v") as made:
        found = made._js_runtimes["deno"].info
    assert found.supported


def test_no_program_is_started_for_what_a_site_sends(
    tmp_path: Path, site: Site, wav: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ffmpeg, which opens whatever a stream names, is not to be found by yt-dlp."""
    with opened(site.url) as made:
        assert not yt_dlp.postprocessor.FFmpegPostProcessor(made).available
        assert [handler.RH_KEY for handler in made._request_director.handlers.values()] == [
            "Requests"
        ]
