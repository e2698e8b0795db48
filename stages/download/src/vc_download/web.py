"""Recordings from the web: yt-dlp, its noise turned down and its failures told apart."""

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yt_dlp
from yt_dlp.networking import exceptions as network
from yt_dlp.utils import YoutubeDLError

from vc_common import log, tools
from vc_common.errors import InputError, StageError, ToolError, TryAgainError
from vc_download.fetched import Fetched

logger = log.get("download")

RETRIES = 4
TIMEOUT = 30.0  # seconds without a byte

# HTTP statuses that say "not now" rather than "not at all"; every 5xx does too.
_LATER = {408, 425, 429}

_NO_CONNECTION = (network.TransportError, ConnectionError, TimeoutError, socket.gaierror)

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX = re.compile(r"^(ERROR: )?(\[[\w:+.-]+\] )?")

# What yt-dlp says where no exception tells the reason, and what it means for the user.
_SAYINGS: list[tuple[str, type[StageError], str]] = [
    (
        "Unsupported URL",
        InputError,
        "no recording found there; give a media file or a page of one",
    ),
    (
        "Requested format is not available|No video formats found",
        InputError,
        "has no audio; give a recording with an audio track",
    ),
    (
        "downloaded file is empty|Did not get any data blocks",
        InputError,
        "is empty (0 bytes); check what it should hold",
    ),
    (
        "rate.?limit|too many requests|try again later",
        TryAgainError,
        "the site asks for patience ({said}); try again later",
    ),
    (
        "sign in|log ?in|cookies|private",
        InputError,
        "is for those signed in ({said}); give --cookies FILE",
    ),
]


def fetch(url: str, folder: Path, cookies: Path | None, language: str | None) -> Fetched:
    """Download the best audio of ``url`` into ``folder``, and captions people wrote for it.

    Raises InputError when there is no such recording, TryAgainError when there may be later.
    """
    options = _options(folder, cookies)
    try:
        with yt_dlp.YoutubeDL(options) as ydl:
            # First only ask: a playlist must not start to download.
            info = ydl.extract_info(url, download=False)
            _must_be_one_recording(url, info)
            info = ydl.process_ie_result(info, download=True)
    except YoutubeDLError as error:
        raise _told_apart(url, error) from None
    media = [Path(part["filepath"]) for part in info.get("requested_downloads") or []]
    if not media or not media[0].is_file():
        raise InputError(f"{url}: gave no file; check it in a browser")
    return Fetched(
        path=media[0],
        facts={
            "url": url,
            "extractor": info["extractor"],
            "id": info["id"],
            "title": info.get("title"),
            "uploader": info.get("uploader") or info.get("channel"),
            "upload_date": _date(info.get("upload_date")),
            "licence": info.get("license"),
            "language": info.get("language"),
        },
        captions=_captions(url, options, info, language),
        versions={"yt-dlp": yt_dlp.version.__version__},
    )


class _Log:
    """What yt-dlp wants of a logger. Its warnings are for its developers, so all is debug."""

    def debug(self, message: str) -> None:
        logger.debug("yt-dlp: %s", _ANSI.sub("", message).strip())

    info = warning = error = debug


class _Bar:
    """A progress bar fed by yt-dlp's progress hook."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, state: dict[str, Any]) -> None:
        total = state.get("total_bytes") or state.get("total_bytes_estimate")
        if self._bar is None:
            self._bar = log.progress(total=total, unit="B", unit_scale=True, desc="download")
        self._bar.update(max(0, state.get("downloaded_bytes", 0) - self._bar.n))
        if state["status"] != "downloading":
            self._bar.close()
            self._bar = None


def _options(folder: Path, cookies: Path | None) -> dict[str, Any]:
    options: dict[str, Any] = {
        "format": "bestaudio/best",
        "outtmpl": str(folder / "original.%(ext)s"),
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "playlist_items": "1:2",
        "retries": RETRIES,
        "fragment_retries": RETRIES,
        "extractor_retries": RETRIES,
        "retry_sleep_functions": {
            kind: lambda n: min(2.0**n, 20.0) for kind in ("http", "fragment", "extractor")
        },
        "socket_timeout": TIMEOUT,
        # A gap in the middle of a recording would go unnoticed.
        "skip_unavailable_fragments": False,
        # The original is hashed and converted by us: yt-dlp must not repair or remux it.
        "fixup": "never",
        "updatetime": False,
        "cachedir": False,
        "noprogress": True,
        "color": "never",
        "logger": _Log(),
        "progress_hooks": [_Bar()],
    }
    if cookies:
        # yt-dlp writes the cookies back when it ends; jobs that share a file would ruin it.
        options["cookiefile"] = shutil.copy(cookies, folder / "cookies.txt")
    return options


def _must_be_one_recording(url: str, info: dict[str, Any]) -> None:
    if info.get("_type") in ("playlist", "multi_video"):
        raise InputError(
            f"{url}: is a playlist or a page of several recordings; "
            "one source is one recording, so list the URL of each"
        )
    if info.get("live_status") in ("is_live", "is_upcoming"):
        raise InputError(f"{url}: is a live stream that has not ended; come back for its recording")


def _told_apart(url: str, error: YoutubeDLError) -> StageError:
    """The failure as ours: whether another try may help, in one line that names the URL."""
    said = _PREFIX.sub("", _ANSI.sub("", str(error)).strip())
    said = re.sub(r"\s+", " ", said.split("; please report this issue", 1)[0])
    said = said.replace(f"{url}: ", "").strip()
    for cause in _causes(error):
        if isinstance(cause, network.HTTPError):
            status = f"HTTP {cause.status} {cause.reason}".strip()
            if cause.status in _LATER or cause.status >= 500:
                return TryAgainError(f"{url}: the site answers {status}; try again later")
            return InputError(f"{url}: the site answers {status}; check the URL in a browser")
        if isinstance(cause, _NO_CONNECTION):
            return TryAgainError(f"{url}: no connection ({_short(cause)}); try again later")
    for pattern, kind, meaning in _SAYINGS:
        if re.search(pattern, said, re.IGNORECASE):
            return kind(f"{url}: {meaning.format(said=said)}")
    return InputError(f"{url}: cannot be fetched ({said}); check the URL in a browser")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception, and those it wraps in the several ways of yt-dlp, outermost first."""
    pending: list[Any] = [error]
    seen: set[int] = set()
    while pending:
        found = pending.pop(0)
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        inner = getattr(found, "exc_info", None) or (None, None)
        pending += [inner[1], getattr(found, "cause", None), found.__cause__, found.__context__]


def _short(error: BaseException) -> str:
    """The heart of a network failure: ``Connection refused`` out of several layers of wrapping."""
    said = _ANSI.sub("", str(error)).strip() or type(error).__name__
    found = re.search(r"\[Errno -?\d+\] ([^)>\]]+)", said)
    return found.group(1) if found else said.splitlines()[0]


def _date(digits: str | None) -> str | None:
    """``20260110`` as ``2026-01-10``."""
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if digits else None


def _captions(
    url: str, options: dict[str, Any], info: dict[str, Any], language: str | None
) -> Path | None:
    """Captions by people (never automatic ones) as WebVTT, or None; trouble is only a warning."""
    chosen = _caption_language(list(info.get("subtitles") or {}), language or info.get("language"))
    if chosen is None:
        return None
    wanted = options | {
        "skip_download": True,
        "writesubtitles": True,
        "subtitleslangs": [re.escape(chosen)],
        "subtitlesformat": "vtt/best",
    }
    try:
        with yt_dlp.YoutubeDL(wanted) as ydl:
            found = ydl.process_ie_result(info, download=True)["requested_subtitles"][chosen]
        path = Path(found["filepath"])
        if path.suffix == ".vtt":
            return path
        converted = path.with_name("captions.vtt")
        tools.run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), str(converted)])
        return converted
    except (YoutubeDLError, ToolError, KeyError, TypeError) as error:
        logger.warning("%s: captions (%s) left out: %s", url, chosen, _ANSI.sub("", str(error)))
        return None


def _caption_language(there: list[str], wanted: str | None) -> str | None:
    """The captions in the wanted language or a variant of it; the first where none is wanted."""
    spoken = [name for name in there if name != "live_chat"]
    if wanted is None:
        return "en" if "en" in spoken else next(iter(spoken), None)
    base = wanted.split("-")[0]
    for fits in (wanted, base):
        if fits in spoken:
            return fits
    return next((name for name in spoken if name.split("-")[0] == base), None)
