"""A web site on the loopback interface that answers as well, and as badly, as real ones do.

    with loopback.Site() as site:
        site.add("/talk.wav", Answer(503), Answer(200, wav, "audio/x-wav", rate=50_000))
        fetch(site.url + "/talk.wav")
        assert [request.status for request in site.requests] == [503, 206]

Several answers to one path are given one after the other, the last of them for ever; HEAD uses up
none. A site in a process of its own stops when its stdin closes, or after --seconds:

    python benchmarks/loopback.py --spec site.json     # prints its address

The spec maps paths to an answer, or to a list of them: {"/talk.wav": {"file": "talk.wav",
"rate": 50000}, "/busy": [{"status": 503}, {"text": "words"}]}; keys are those of Answer.
"""

import argparse
import contextlib
import email.utils
import http
import http.server
import itertools
import json
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from answers import (
    Answer,
    audio_page,
    feed,
    from_spec,
    hls,
    radio,
    redirect,
    to_spec,
    video_page,
)

__all__ = [
    "Answer",
    "Request",
    "Site",
    "audio_page",
    "feed",
    "hls",
    "radio",
    "redirect",
    "to_spec",
    "video_page",
]

BLOCK = 65_536  # bytes written at a time
BEAT = 0.05  # seconds between the writes of a slow answer
FOR_EVER = float("inf")


@dataclass
class Request:
    """A request that the site got, and what became of it."""

    method: str
    path: str  # with the query
    headers: Mapping[str, str]  # names in lower case
    time: float  # seconds since the epoch
    status: int = 0  # 0: no answer yet, or a reset
    sent: int = 0  # bytes of the body, as far as it went

    @property
    def range_start(self) -> int | None:
        """The first byte asked for, where a range is."""
        found = re.match(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found[1]) if found else None


class Site:
    """A web site on a free port of 127.0.0.1, while its ``with`` block lasts."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._answers: dict[str, tuple[Answer, ...]] = {}
        self._given: dict[str, Iterator[int]] = {}
        self._server = _Server(self)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        beat = {"poll_interval": BEAT}
        threading.Thread(target=self._server.serve_forever, kwargs=beat, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop at once: connections are closed, however far their answers are."""
        self.closing.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()

    def add(self, path: str, *answers: Answer) -> str:
        """Answer ``path``, with or without a query, as said; returns its URL."""
        self._given[path] = itertools.count()
        self._answers[path] = answers
        return self.url + path

    def answer(self, method: str, path: str) -> Answer:
        """The next answer to ``path``; 404 where nothing was added."""
        known = path if path in self._answers else path.partition("?")[0]
        answers = self._answers.get(known)
        if not answers:
            return Answer(404, b"<p>not here</p>")
        turn = 0 if method == "HEAD" else next(self._given[known])
        return answers[min(turn, len(answers) - 1)]

    def asked(self, path: str) -> list[Request]:
        """The requests for ``path`` so far, those with a query too."""
        return [request for request in self.requests if request.path.partition("?")[0] == path]


class _Server(http.server.ThreadingHTTPServer):
    """A thread a connection, and a list of them, to hang up."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, site: Site) -> None:
        self.site = site
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close every connection, so that no thread waits for its other end."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Visitors may leave whenever they like; anything else is a bug and is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _HungUpError(Exception):
    """The connection ends here, wanted or not."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        site = self.server.site
        told = {name.lower(): value for name, value in self.headers.items()}
        self.request_seen = Request(self.command, self.path, told, time.time())
        site.requests.append(self.request_seen)
        try:
            self._answer(site.answer(self.command, self.path))
        except _HungUpError:
            self.close_connection = True

    do_HEAD = do_GET  # noqa: N815 - the name is http.server's

    def log_message(self, *_: object) -> None:
        """Say nothing: the site keeps a list of its requests."""

    def _answer(self, answer: Answer) -> None:
        self._wait(answer.delay)
        if answer.reset and answer.truncate is None:
            self._reset()
        size = answer.size
        start, stop = self._asked_range(answer, size)
        if start >= stop and self.request_seen.status == http.HTTPStatus.PARTIAL_CONTENT:
            self.request_seen.status = http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            self._head(answer, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
            return
        lines = {}
        if self.request_seen.status == http.HTTPStatus.PARTIAL_CONTENT:
            lines["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        if answer.framing == "length":
            lines["Content-Length"] = str(stop - start)
        elif answer.framing == "chunked":
            lines["Transfer-Encoding"] = "chunked"
        else:
            lines["Connection"] = "close"
        self._head(answer, lines)
        if self.command != "HEAD":
            self._body(answer, start, stop)
        if answer.framing == "close" or "Content-Length" in answer.headers:
            raise _HungUpError

    def _asked_range(self, answer: Answer, size: int) -> tuple[int, int]:
        """First byte and end of what to send; sets the status."""
        self.request_seen.status = answer.status
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "").strip())
        if not asked or not any(asked.groups()) or not answer.ranges or answer.status != 200:
            return 0, size
        if not self._same_as(self.headers.get("If-Range"), answer):
            return 0, size
        self.request_seen.status = http.HTTPStatus.PARTIAL_CONTENT
        first, last = asked.groups()
        if not first:
            return max(0, size - int(last)), size
        return int(first), min(int(last) + 1, size) if last else size

    def _same_as(self, validator: str | None, answer: Answer) -> bool:
        """Whether the part that a visitor has is of the body of this answer."""
        if validator is None:
            return True
        if validator.startswith('"'):
            return validator == answer.tag()
        return answer.last_modified is not None and validator == _date(answer.last_modified)

    def _head(self, answer: Answer, lines: Mapping[str, str]) -> None:
        self.send_response(self.request_seen.status)
        told = {"Content-Type": answer.content_type, **lines, **answer.headers}
        if answer.status == 200:
            told |= {"ETag": answer.tag()} if answer.tag() else {}
            told |= {"Accept-Ranges": "bytes"} if answer.ranges else {}
        if answer.last_modified is not None:
            told["Last-Modified"] = _date(answer.last_modified)
        if answer.retry_after is not None:
            at = _date(time.time() + answer.retry_after)
            told["Retry-After"] = at if answer.retry_as_date else f"{answer.retry_after:.0f}"
        for name, value in told.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, answer: Answer, start: int, stop: int) -> None:
        chunked = answer.framing == "chunked"
        began, sent = time.monotonic(), 0
        most = 1 if answer.drip else int(max(1, min(BLOCK, (answer.rate or FOR_EVER) * BEAT)))
        for block in self._blocks(answer, start, stop, most):
            if answer.drip:
                self._wait(answer.drip)
            elif answer.rate:
                self._wait(began + (sent + len(block)) / answer.rate - time.monotonic())
            left = min(
                (limit for limit in (answer.stall, answer.truncate) if limit is not None),
                default=FOR_EVER,
            )
            piece = block[: int(min(len(block), left - sent))]
            if piece:
                self._write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            sent += len(piece)
            self.request_seen.sent = sent
            if sent == left:
                self._break_off(answer)
        if chunked:
            self._write(b"0\r\n\r\n")

    def _blocks(self, answer: Answer, start: int, stop: int, most: int) -> Iterator[bytes]:
        yield from answer.blocks(start, stop, most)
        while answer.endless:
            yield from answer.blocks(0, answer.size, most)

    def _break_off(self, answer: Answer) -> None:
        if answer.truncate is None or (answer.stall or FOR_EVER) < answer.truncate:
            self._wait(FOR_EVER)
        if answer.reset:
            self._reset()
        raise _HungUpError

    def _wait(self, seconds: float) -> None:
        """Wait, but no longer than the site stands."""
        wanted = None if seconds == FOR_EVER else seconds
        if (wanted is None or wanted > 0) and self.server.site.closing.wait(wanted):
            raise _HungUpError

    def _write(self, block: bytes) -> None:
        try:
            self.wfile.write(block)
        except OSError:
            raise _HungUpError from None

    def _reset(self) -> None:
        """Close with RST: an abrupt end, where an orderly one is FIN."""
        self.request_seen.status = 0
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise _HungUpError


def _date(seconds: float) -> str:
    """As HTTP writes it: Sun, 06 Nov 1994 08:49:37 GMT."""
    return email.utils.formatdate(seconds, usegmt=True)


def serve(spec: Mapping[str, Any], seconds: float | None) -> None:
    """Stand until stdin closes, or for ``seconds``; the address is the first line on stdout."""
    with Site() as site:
        for path, told in spec.items():
            answers = told if isinstance(told, list) else [told]
            site.add(path, *(from_spec(answer) for answer in answers))
        print(site.url, flush=True)
        if seconds is None:
            sys.stdin.read()
        else:
            site.closing.wait(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spec", type=Path, required=True, help="JSON: paths and their answers")
    parser.add_argument("--seconds", type=float, help="how long to stand; else until stdin closes")
    args = parser.parse_args()
    serve(json.loads(args.spec.read_text("utf-8")), args.seconds)


if __name__ == "__main__":
    main()
