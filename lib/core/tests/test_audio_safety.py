"""A recording from a stranger makes ffmpeg open that one file, and nothing else."""

import http.server
import json
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vc_core import audio, media, tools
from vc_core.errors import InputError, ToolError


@pytest.fixture
def asked() -> list[str]:
    """What the site was asked for."""
    return []


@pytest.fixture
def site(asked: list[str], tone: Path) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(tone.read_bytes())

        def log_message(self, *_: object) -> None:
            """Keep stderr quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def hls(entry: str) -> str:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{entry}\n#EXT-X-ENDLIST\n"


def dash(entry: str) -> str:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
        f'<Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="64000">'
        f"<BaseURL>{entry}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )


def concat(entry: str) -> str:
    return f"ffconcat version 1.0\nfile '{entry}'\n"


def sdp(entry: str) -> str:
    return f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns={entry}\nc=IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n"


def refused(path: Path) -> str:
    """The one line with which reading ``path`` ends."""
    with pytest.raises(InputError) as failed:
        media.probe(path)
    said = str(failed.value)
    assert len(said.splitlines()) == 1
    assert said.startswith(f"{tools.printable(str(path))}: ")
    return said


def ffprobe_reads(path: Path, *options: str) -> bool:
    """Whether ffprobe, with no options for safety, finds sound by way of ``path``."""
    command = ["ffprobe", "-v", "quiet", *options, "-show_streams", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return bool(json.loads(done.stdout or "{}").get("streams"))


@pytest.mark.parametrize("script", [hls, dash, concat, sdp])
@pytest.mark.parametrize("name", ["talk.mp3", "list.m3u8"])
def test_scripts_that_name_other_files_or_servers_are_refused(
    tmp_path: Path, site: str, asked: list[str], tone: Path, script: Callable[[str], str], name: str
) -> None:
    talk = tmp_path / name
    for entry in ("file:///etc/passwd", f"{site}/secret.wav", tone.name, str(tone)):
        talk.write_text(script(entry))
        assert "recording" in refused(talk)
    for read in (audio.read, lambda path: media.convert(path, tmp_path / "out.wav", 8000, 1)):
        with pytest.raises(InputError, match="recording"):
            read(talk)
    assert asked == []


def test_plain_ffmpeg_would_have_followed_them(
    tmp_path: Path, site: str, asked: list[str], tone: Path
) -> None:
    """What the refusals are for; if this fails, the tests above show nothing any more."""
    script = tmp_path / "talk.mp3"
    script.write_text(concat(tone.name))
    assert ffprobe_reads(script)
    media_list = tmp_path / "talk.m3u8"
    media_list.write_text(hls(f"{site}/part.ts"))
    ffprobe_reads(media_list, "-protocol_whitelist", "file,http,tcp")
    assert asked


def grown(atoms: bytes, path: tuple[bytes, ...], content: bytes) -> bytes:
    """QuickTime atoms with the content of the one at ``path`` replaced, lengths set anew."""
    out, at = b"", 0
    while at < len(atoms):
        size, kind = struct.unpack_from(">I4s", atoms, at)
        body = atoms[at + 8 : at + size]
        if kind == path[0]:
            body = grown(body, path[1:], content) if path[1:] else content
        out += struct.pack(">I4s", len(body) + 8, kind) + body
        at += size
    return out


def external_reference(name: bytes) -> bytes:
    """The content of a ``dref`` atom: a Macintosh alias of a file in the same folder."""
    absolute = b":" + name
    alias = (
        bytes(10)
        + struct.pack("B27s", 0, b"")
        + bytes(12)
        + struct.pack("B63s", len(name), name)
        + bytes(16)
        + struct.pack(">hh", 1, 1)
        + bytes(16)
        + struct.pack(">hH", 2, len(absolute))
        + absolute.ljust(len(absolute) + len(absolute) % 2, b"\0")
        + struct.pack(">h", -1)
        + bytes(20)
    )
    entry = struct.pack(">I4sI", len(alias) + 12, b"alis", 0) + alias
    return struct.pack(">II", 0, 1) + entry


def test_quicktime_references_to_other_files_are_not_followed(tmp_path: Path, tone: Path) -> None:
    whole, film = tmp_path / "whole.mov", tmp_path / "talk.mov"
    tools.run(["ffmpeg", "-v", "error", "-i", str(tone), "-c:a", "pcm_s16le", str(whole)])
    dref = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref")
    referring = grown(whole.read_bytes(), dref, external_reference(b"whole.mov"))
    # Its own sound is wiped: any that is heard comes from the other file.
    at = referring.index(b"mdat")
    size = struct.unpack_from(">I", referring, at - 4)[0]
    film.write_bytes(referring[: at + 4] + bytes(size - 8) + referring[at + size - 4 :])

    followed = tmp_path / "followed.wav"
    tools.run(["ffmpeg", "-v", "error", "-enable_drefs", "1", "-i", str(film), str(followed)])
    assert np.abs(soundfile.read(followed)[0]).max() > 0.2

    wav = tmp_path / "out.wav"
    media.convert(film, wav, 44_100, 1)
    assert soundfile.info(wav).frames == 0


ODD_NAMES = ["-i.wav", "a:b.wav", "http:.wav", "new\nline.wav", "🎤 %d.wav", "file:x.wav", "*.wav"]


@pytest.mark.parametrize("name", [*ODD_NAMES, "concat:a|b.wav", "pipe:0"])
def test_names_are_only_names(
    tmp_path: Path, tone: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Relative, so that nothing stands before the name.
    monkeypatch.chdir(tmp_path)
    tone.rename(name)
    info = media.probe(Path(name))
    assert (info.rate, info.channels, info.seconds) == (44_100, 2, 2.0)
    target = Path(f"-y:{name}.out.wav")
    media.convert(Path(name), target, 16_000, 1)
    assert soundfile.info(target).frames == 32_000


def test_a_name_that_is_no_text_is_read_and_told(tmp_path: Path, tone: Path) -> None:
    named = tmp_path / "tal\udcff.wav"
    tone.rename(named)
    assert media.probe(named).seconds == 2.0
    named.write_bytes(b"no sound")
    assert "\udcff" not in refused(named)


def test_a_newline_in_a_name_does_not_break_the_message(tmp_path: Path) -> None:
    path = tmp_path / "new\nline.mp3"
    path.write_text("no sound")
    assert len(refused(path).splitlines()) == 1


TAGS = {
    "title": "🎤 first line\nsecond\x07 line \u202etxt.exe",
    "artist": "../../etc/passwd",
    "comment": "x" * 100_000,
}


@pytest.mark.parametrize("suffix", ["mp3", "flac", "m4a", "ogg", "mka"])
def test_tags_are_kept_short_and_on_one_line(tmp_path: Path, tone: Path, suffix: str) -> None:
    path = tmp_path / f"tagged.{suffix}"
    said = [part for name, value in TAGS.items() for part in ("-metadata", f"{name}={value}")]
    tools.run(["ffmpeg", "-v", "error", "-i", str(tone), *said, str(path)])
    tags = {name.lower(): value for name, value in media.probe(path).tags.items()}
    assert tags["title"].startswith("🎤 first line second")
    assert tags["artist"] == "../../etc/passwd"
    assert 100 <= len(tags["comment"]) <= 1000
    assert all(value.isprintable() for value in tags.values())


def test_tags_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    body = b"\xff\xfe\x80 broken \xc3\x28"
    comments = [b"TITLE=" + body, b"NUL=a\x00b", b"=", b"no equals sign", b"ARTIST=" + b"\xf0\x9f"]
    path = tmp_path / "tagged.flac"
    soundfile.write(path, np.zeros(8000), 8000)
    stored = path.read_bytes()
    vendor = b"\xff" * 8
    block = struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(comments))
    block += b"".join(struct.pack("<I", len(comment)) + comment for comment in comments)
    header = stored[:4] + bytes([0]) + stored[5:42]
    # After the stream's own block come these comments, as the last block, then the sound.
    at, last = 42, stored[4] >> 7
    while not last:
        last, size = stored[at] >> 7, int.from_bytes(stored[at + 1 : at + 4], "big")
        at += 4 + size
    path.write_bytes(header + bytes([0x84]) + len(block).to_bytes(3, "big") + block + stored[at:])
    info = media.probe(path)
    assert info.seconds == 1.0
    assert "broken" in info.tags["TITLE"]
    assert all("\x00" not in part for tag in info.tags.items() for part in tag)


def test_the_default_track_is_taken_else_the_first(tmp_path: Path) -> None:
    tracks = []
    for hertz in (300, 600, 1200):
        tracks += ["-f", "lavfi", "-i", f"sine={hertz}:duration=1"]
    maps = ["-map", "0", "-map", "1", "-map", "2", "-c:a", "flac"]
    for default, expected in ((None, 300), (1, 600), (2, 1200)):
        path, wav = tmp_path / f"{default}.mkv", tmp_path / "out.wav"
        chosen = ["-disposition:a", "0"]
        if default is not None:
            chosen += [f"-disposition:a:{default}", "default"]
        command = ["ffmpeg", "-v", "error", *tracks, *maps, *chosen, "-default_mode", "passthrough"]
        tools.run([*command, str(path)])
        assert media.probe(path).stream == (default or 0)
        media.convert(path, wav, 44_100, 1)
        assert np.abs(np.fft.rfft(soundfile.read(wav)[0])).argmax() == pytest.approx(
            expected, abs=1
        )


def test_a_missing_ffmpeg_is_no_fault_of_the_recording(
    tone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolError, match="ffprobe: not installed"):
        media.probe(tone)
