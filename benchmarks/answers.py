"""What a web site may answer, well or ill, and the documents that recordings are found in."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Answer:
    """What the site says to a request, and how well it says it."""

    status: int = 200
    body: bytes | Path = b""  # or the file that holds it
    content_type: str = "text/html"
    headers: Mapping[str, str] = field(default_factory=dict)  # before its own, such as the length
    # Tells its length, comes in chunks, or ends when the connection does.
    framing: Literal["length", "chunked", "close"] = "length"
    ranges: bool = True  # understands Range and If-Range; otherwise the whole comes every time
    etag: str = "auto"  # auto: the hash of the body; "": none
    last_modified: float | None = None  # seconds since the epoch
    retry_after: float | None = None  # seconds
    retry_as_date: bool = False
    delay: float = 0.0  # seconds before it says anything
    rate: float | None = None  # bytes a second
    drip: float | None = None  # seconds before every single byte
    stall: int | None = None  # bytes sent after which nothing follows, and nothing ends
    truncate: int | None = None  # bytes sent after which the connection closes
    reset: bool = False  # the connection is reset: at once, or where it is truncated
    endless: bool = False  # the body again and again

    def __post_init__(self) -> None:
        if self.endless and self.framing == "length":
            raise ValueError("an endless answer has no length: give framing chunked or close")

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return self.body.stat().st_size if isinstance(self.body, Path) else len(self.body)

    def blocks(self, start: int, stop: int, most: int) -> Iterator[bytes]:
        """Bytes ``start`` to ``stop`` of the body, at most ``most`` at a time."""
        if isinstance(self.body, bytes):
            for first in range(start, stop, most):
                yield self.body[first : min(first + most, stop)]
            return
        with self.body.open("rb") as file:
            file.seek(start)
            for first in range(start, stop, most):
                yield file.read(min(most, stop - first))

    def tag(self) -> str:
        """The value of the ETag header, "" for none."""
        if self.etag != "auto":
            return self.etag
        if isinstance(self.body, bytes):
            return f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'
        told = self.body.stat()
        return f'"{told.st_mtime_ns:x}-{told.st_size:x}"'


def redirect(url: str, status: int = 302) -> Answer:
    """An answer that points to ``url``; to its own path, and it is a redirect loop."""
    return Answer(status, headers={"Location": url})


def radio(body: bytes, content_type: str = "audio/mpeg", rate: float | None = 16_000) -> Answer:
    """A stream of web radio: ``body`` for ever, ``rate`` bytes a second, with its name."""
    named = {"icy-name": "Loopback Radio", "icy-br": "128"}
    return Answer(
        200, body, content_type, named, framing="chunked", ranges=False, rate=rate, endless=True
    )


def hls(segments: list[str], seconds: float = 6.0, *, live: bool = False) -> Answer:
    """An HLS playlist of ``segments`` of ``seconds`` each; a live one has no end."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{round(seconds + 0.5)}"]
    lines += ["#EXT-X-MEDIA-SEQUENCE:0"]
    for segment in segments:
        lines += [f"#EXTINF:{seconds:.3f},", segment]
    text = "\n".join([*lines, *([] if live else ["#EXT-X-ENDLIST"])]) + "\n"
    return Answer(200, text.encode(), "application/vnd.apple.mpegurl")


def feed(urls: list[str], content_type: str = "audio/mpeg", licence: str = "") -> Answer:
    """An RSS feed, such as a podcast's, with one enclosure for each of ``urls``."""
    items = "".join(
        f"<item><title>Episode {number}</title><guid>{url}</guid>"
        f"<pubDate>Mon, {number % 28 + 1:02} Jan 2024 08:00:00 GMT</pubDate>"
        f'<enclosure url="{url}" type="{content_type}" length="1000"/></item>'
        for number, url in enumerate(urls, 1)
    )
    said = f"<copyright>{licence}</copyright>" if licence else ""
    head = f"<title>A podcast</title><link>/</link><description>Talks</description>{said}"
    text = f'<?xml version="1.0"?><rss version="2.0"><channel>{head}{items}</channel></rss>'
    return Answer(200, text.encode(), "application/rss+xml")


def audio_page(urls: list[str]) -> Answer:
    """A page with one ``<audio>`` for each of ``urls``."""
    players = "".join(f'<audio controls src="{url}"></audio>' for url in urls)
    return Answer(200, f"<html><title>Talks</title><body>{players}</body></html>".encode())


def video_page(url: str, captions: Mapping[str, str]) -> Answer:
    """A page with one ``<video>``, and the URL of its captions by language."""
    tracks = "".join(
        f'<track kind="subtitles" src="{where}" srclang="{language}">'
        for language, where in captions.items()
    )
    text = f'<html><title>A talk</title><body><video src="{url}">{tracks}</video></body></html>'
    return Answer(200, text.encode())


def from_spec(told: Mapping[str, Any]) -> Answer:
    """An answer as JSON has it: keys of Answer, ``file`` or ``text`` for the body."""
    rest = dict(told)
    body: bytes | Path = rest.pop("text", "").encode()
    if "file" in rest:
        body = Path(rest.pop("file"))
    return Answer(body=body, **rest)


def to_spec(answers: Sequence[Answer], folder: Path) -> list[dict[str, Any]]:
    """Answers as JSON has them; bodies go into files in ``folder``."""
    told = []
    for answer in answers:
        row = {key.name: getattr(answer, key.name) for key in dataclasses.fields(Answer)}
        body = row.pop("body")
        if isinstance(body, bytes):
            path = folder / f"{hashlib.sha256(body).hexdigest()}.body"
            path.write_bytes(body)
            body = path
        told.append({**row, "headers": dict(answer.headers), "file": str(body)})
    return told
