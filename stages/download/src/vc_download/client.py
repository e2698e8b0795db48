"""yt-dlp as this stage uses it: quiet, without ffmpeg, and on a short lead.

Every request and every byte passes here, so this is where addresses, sizes and patience are kept.
"""

import contextlib
import io
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yt_dlp
from yt_dlp.extractor.generic import GenericIE
from yt_dlp.networking import Request, Response
from yt_dlp.networking.exceptions import HTTPError, NoSupportingHandlers

from vc_core import log
from vc_core.errors import InputError, StageError
from vc_download import addresses, caps, refusals
from vc_download.failures import Reason, failure
from vc_download.options import AccessOptions
from vc_download.resuming import Fragments, Validator
from vc_download.watch import Watch, watched

logger = log.get("download")

RETRIES = 3
TIMEOUT = 30.0  # seconds without a byte
BLOCK = 16_384  # bytes
PAGE = 64_000_000  # bytes of a page or manifest, far above any honest one

_SCHEMES = ("http", "https")
_RADIO = ("icy-name", "icy-br", "icy-metaint")


class Client(yt_dlp.YoutubeDL):  # type: ignore[misc]
    """One source's conversation with its site.

    Raises the failures of ``vc_download.failures``, besides yt-dlp's own exceptions, which
    ``refusals.told_apart`` makes failures of.
    """

    def __init__(
        self,
        source: str,
        options: dict[str, Any],
        most: float,
        watch: Watch,
        plain: bool,
    ) -> None:
        """``most`` are the bytes that a recording may have; ``plain``: no site's own extractor."""
        self.source = source
        self._most = most
        self._watch = watch
        self._allow(PAGE)
        self._validator: Validator | None = None
        self._fragments: Fragments | None = None
        super().__init__(options, auto_init=not plain)
        if plain:
            self.add_info_extractor(GenericIE())

    def fetch(self, info: dict[str, Any], path: Path) -> bool:
        """Download what yt-dlp chose in ``info`` to ``path``, going on where a run was killed."""
        self._allow(self._most)
        self._validator, self._fragments = Validator(path, info["url"]), Fragments(path)
        self._fragments.settle()
        try:
            done, _ = self.dl(str(path), info)
        finally:
            self._validator = self._fragments = None
        return bool(done)

    def caption(self, info: dict[str, Any], path: Path) -> None:
        """Download captions to ``path``."""
        self._allow(PAGE)
        self.dl(str(path), info, subtitle=True)

    def build_request_director(self, handlers: Any, preferences: Any = None) -> Any:
        """With ``requests`` alone: it speaks HTTP only, and through Python's own sockets."""
        chosen = [handler for handler in handlers if handler.RH_KEY == "Requests"]
        return super().build_request_director(chosen, preferences)

    def urlopen(self, req: str | Request) -> Response:
        """As yt-dlp's, with everything refused that a link may not lead to."""
        request = Request(req) if isinstance(req, str) else req
        scheme = request.url.partition(":")[0].lower()
        if scheme not in _SCHEMES:
            said = f"leads to {request.url[:200]}, which is neither http nor https"
            mend = "give the URL of the recording itself"
            raise failure(Reason.REFUSED_ADDRESS, self.source, said, mend=mend)
        if self._validator:
            self._validator.ask(request)
        if self._fragments:
            self._fragments.note()
        self._watch.rest()
        response = self._sent(request)
        if any(name in response.headers for name in _RADIO):
            raise failure(Reason.LIVE, self.source, "is a radio stream, which has no end")
        if self._validator:
            self._validator.answered(self.source, request, response)
        self._must_fit(response)
        response.fp = _Counted(response.fp, self._arrived)
        return response

    def _sent(self, request: Request) -> Response:
        try:
            return super().urlopen(request)
        except NoSupportingHandlers as error:
            # What is raised while connecting, such as by the guard of addresses.
            for inner in error.unexpected_errors:
                if isinstance(inner, StageError):
                    raise inner from None
            raise
        except HTTPError as error:
            if error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                self._no_more(request)
            raise

    def _no_more(self, request: Request) -> None:
        """Let yt-dlp ask for the whole, to see whether all of it has arrived in an earlier run.

        It means to, but makes the new request with the headers of the old one, ``Range`` among
        them, and would be refused for ever. Pieces of a file keep theirs: their playlist gave it.
        """
        whole_file = self._validator is not None and self._validator.no_more(request)
        if whole_file or (request.headers.get("Range") or "").endswith("-"):
            request.headers.pop("Range", None)

    def _must_fit(self, response: Response) -> None:
        announced = response.headers.get("Content-Length") or ""
        size = int(announced) if announced.isdigit() else 0
        caps.must_be_small(self.source, size, self._most)
        if self._validator:
            caps.must_have_room(self.source, size, self._validator.folder)

    def _allow(self, most: float) -> None:
        self._allowed = self._left = most

    def _arrived(self, count: int) -> None:
        self._watch.seen(count)
        self._left -= count
        if self._left < 0:
            said = f"sends more than {self._allowed / 1e6:.0f} MB"
            raise failure(Reason.TOO_LARGE, self.source, said)


class _Counted:
    """The body of a response, whose bytes are counted as they come."""

    def __init__(self, body: Any, arrived: Callable[[int], None]) -> None:
        self._body = body
        self._arrived = arrived

    def read(self, *args: Any, **options: Any) -> Any:
        block = self._body.read(*args, **options)
        self._arrived(len(block))
        return block

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


class _Log:
    """What yt-dlp wants of a logger. Its warnings are for its developers, so all is debug."""

    def debug(self, message: str) -> None:
        logger.debug("yt-dlp: %s", refusals.cleaned(message))

    info = warning = error = debug


class _Bar:
    """A progress bar fed by yt-dlp's progress hook."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, state: dict[str, Any]) -> None:
        total = state.get("total_bytes") or state.get("total_bytes_estimate")
        if self._bar is None:
            self._bar = log.progress(total=total, unit="B", unit_scale=True, desc="download")
        self._bar.total = total
        self._bar.update(max(0, state.get("downloaded_bytes", 0) - self._bar.n))
        if state["status"] != "downloading":
            self._bar.close()
            self._bar = None


@contextlib.contextmanager
def opened(
    source: str,
    access: AccessOptions,
    *,
    longest: float,
    most: float,
    plain: bool = False,
    **more: Any,
) -> Iterator[Client]:
    """A client for ``source``, under guard and watch; ``more`` are options of yt-dlp.

    ``longest`` are the seconds and ``most`` the bytes that a recording may have. A ``plain`` client
    knows no sites, and starts in half the time. Raises the failures of ``vc_download.failures``,
    whatever yt-dlp calls them.
    """
    with (
        addresses.guarded(source, access.allow_hosts, access.proxy),
        watched(source, access.sleep, longest) as watch,
    ):
        try:
            options = _options(access) | more
            with Client(source, options, most, watch, plain) as client:
                yield client
        except (yt_dlp.utils.YoutubeDLError, yt_dlp.cookies.CookieLoadError) as error:
            raise refusals.told_apart(source, error) from None
        except Exception as error:
            if not refusals.is_of_yt_dlp(error):
                raise
            raise refusals.outdated(source, f"{type(error).__name__}: {error}") from error


def _options(access: AccessOptions) -> dict[str, Any]:
    waits = {kind: lambda n: min(0.5 * 2.0**n, 20.0) for kind in ("http", "fragment", "extractor")}
    runtime, _, path = access.js_runtime.partition(":")
    options: dict[str, Any] = {
        "format": "bestaudio/best",
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "retries": RETRIES,
        "fragment_retries": RETRIES,
        "extractor_retries": RETRIES,
        "retry_sleep_functions": waits,
        "socket_timeout": TIMEOUT,
        # A gap in the middle of a recording would go unnoticed.
        "skip_unavailable_fragments": False,
        # HLS is taken apart here: ffmpeg would open whatever a playlist names. No file is there.
        "external_downloader": "native",
        "ffmpeg_location": "not for yt-dlp",
        # Larger blocks would be lost to a kill, and counted late by the watch.
        "buffersize": BLOCK,
        "noresizebuffer": True,
        "updatetime": False,
        "cachedir": False,
        "noprogress": True,
        "color": "never",
        "logger": _Log(),
        "progress_hooks": [_Bar()],
        "js_runtimes": {} if runtime == "none" else {runtime: {"path": path or None}},
        "ratelimit": access.bytes_a_second,
        "sleep_interval_requests": access.sleep,
    }
    if access.proxy:
        options["proxy"] = access.proxy
    if access.user_agent:
        options["http_headers"] = {"User-Agent": access.user_agent}
    if access.cookies:
        options["cookiefile"] = _cookies(access.cookies)
    return options


def _cookies(path: Path) -> io.StringIO:
    """The cookies in memory: yt-dlp writes them back, and jobs that share a file would ruin it."""
    try:
        return io.StringIO(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise InputError(
            f"download.cookies {path}: cannot be read ({why}); export it again"
        ) from None
