"""What yt-dlp and sites say when a recording cannot be had, told apart by reason."""

import email.utils
import errno
import re
import socket
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from yt_dlp.networking import exceptions as network
from yt_dlp.utils import ContentTooShortError, GeoRestrictedError, UserNotLive

from vc_core import urls
from vc_core.errors import StageError
from vc_download.failures import Reason, failure

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# yt-dlp's own id of what no site has named is the end of its URL, with what may be secret.
_OWN_ID = re.compile(r"^((?:ERROR: )?\[(?:generic|html5)\] )(?!Extracting URL: ).*?: ", re.S)
_PREFIX = re.compile(r"^(ERROR: )?(\[[\w:+.-]+\] )?")
_URL = re.compile(r"\b\w+://\S+")

_NO_CONNECTION = (network.TransportError, ConnectionError, TimeoutError, socket.gaierror)

_CLASSES: dict[type[BaseException], Reason] = {
    GeoRestrictedError: Reason.GEO_BLOCKED,
    UserNotLive: Reason.LIVE,
    ContentTooShortError: Reason.NETWORK,
}

_STATUSES = {
    401: Reason.LOGIN_REQUIRED,
    402: Reason.LOGIN_REQUIRED,
    403: Reason.LOGIN_REQUIRED,
    404: Reason.NOT_FOUND,
    410: Reason.REMOVED,
    413: Reason.TOO_LARGE,
    429: Reason.RATE_LIMITED,
    451: Reason.GEO_BLOCKED,
    # These say "not now" rather than "not at all"; every 5xx does too.
    407: Reason.NETWORK,
    408: Reason.NETWORK,
    416: Reason.NETWORK,
    425: Reason.NETWORK,
}

# What sites and yt-dlp say in words, where no exception tells the reason; the first that fits
# counts. The last column is said instead where their own words would not help.
_SAYINGS: list[tuple[str, Reason, str]] = [
    (r"not a bot|captcha|anti-bot|unusual traffic|automated quer", Reason.BOT_CHECK, ""),
    (r"confirm your age|age.?restricted|age verification|inappropriate", Reason.AGE_RESTRICTED, ""),
    (r"rate.?limit|too many requests|try again later", Reason.RATE_LIMITED, ""),
    (
        r"(in|from) your (country|location|region)|geo.?(restrict|block)|not available in .*countr",
        Reason.GEO_BLOCKED,
        "",
    ),
    (r"private video|(video|recording|track|account) is private|to private", Reason.PRIVATE, ""),
    (
        r"removed|deleted|terminated|no longer (available|exist)|taken down|copyright claim",
        Reason.REMOVED,
        "",
    ),
    (
        r"live event|premieres? in|will begin in|is(n't| not) (currently )?live|live ?stream",
        Reason.LIVE,
        "",
    ),
    (
        r"sign in|log ?in\b|logged in|registered users|members?.only|channel'?s members|premium"
        r"|subscri(ber|ption)|cookies|authenticat|password|purchase",
        Reason.LOGIN_REQUIRED,
        "",
    ),
    (
        r"no connection adapters were found",
        Reason.REFUSED_ADDRESS,
        "redirects to what is not http or https",
    ),
    (
        r"requested format is not available|no video formats|no formats|only images",
        Reason.NO_AUDIO,
        "has no audio",
    ),
    (r"file is empty|did not get any data blocks", Reason.NO_AUDIO, "is empty (0 bytes)"),
    (r"giving up after \d+", Reason.NETWORK, ""),
    (r"no space left", Reason.DISK_FULL, "does not fit on the disk"),
    (r"video (is )?unavailable|does ?n.t exist|does not exist|not found", Reason.NOT_FOUND, ""),
    (r"unsupported url", Reason.UNSUPPORTED_URL, "no recording found there"),
]


def told_apart(source: str, error: BaseException) -> StageError:
    """The failure that ``error`` means: its reason, in one line that names the source."""
    said = plain(error, source)
    bare = _URL.sub("", said)  # the words of a URL say nothing of the reason
    causes = list(_causes(error))
    known = _by_class(source, causes, said)
    if known:
        return known
    for pattern, reason, instead in _SAYINGS:
        if re.search(pattern, bare, re.IGNORECASE):
            return failure(reason, source, instead or said)
    return _of_network(source, causes) or outdated(source, said)


def outdated(source: str, said: str) -> StageError:
    """The failure where yt-dlp does not make sense of a site that it knows."""
    mend = "a newer yt-dlp may know how; or give the URL of the media file itself"
    said = f"yt-dlp does not understand the site ({said})"
    return failure(Reason.UNSUPPORTED_URL, source, said, mend=mend)


def is_of_yt_dlp(error: BaseException) -> bool:
    """Whether an exception is yt-dlp's doing, neither ours nor the system's: sites change."""
    if isinstance(error, StageError | OSError):
        return False
    files = [Path(frame.filename).parts for frame in traceback.extract_tb(error.__traceback__)]
    # What either of us calls, such as a parser of URLs, may have raised it.
    callers = [name for parts in files for name in ("yt_dlp", "vc_download") if name in parts]
    return callers[-1:] == ["yt_dlp"]


def cleaned(message: str, source: str | None = None) -> str:
    """What yt-dlp says, without colours and without what may be secret in URLs.

    The ``source`` is called it, where that is given.
    """
    said = _OWN_ID.sub(r"\1", _ANSI.sub("", message).strip())
    if source is not None:
        said = said.replace(f"{source}: ", "").replace(source, "it")
    return urls.scrubbed(said).strip()


def plain(error: BaseException, source: str) -> str:
    """What an exception says, in one line, without pleas for reports, and ``cleaned``."""
    said = _PREFIX.sub("", cleaned(str(error), source))
    said = re.sub(r"\s+", " ", re.split(r"; please report this issue|\. Use --", said)[0])
    return said.strip()[:300] or "failed"


def _by_class(source: str, causes: list[BaseException], said: str) -> StageError | None:
    """The failure, where the exception itself says which."""
    for cause in causes:
        if isinstance(cause, StageError):
            return cause
        for kind, reason in _CLASSES.items():
            if isinstance(cause, kind):
                return failure(reason, source, said)
        if isinstance(cause, network.HTTPError):
            return _by_status(source, cause)
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return failure(Reason.DISK_FULL, source, "does not fit on the disk")
    return None


def _of_network(source: str, causes: list[BaseException]) -> StageError | None:
    """The failure, where there was trouble with the connection and nothing else is known."""
    if not any(isinstance(cause, _NO_CONNECTION) for cause in causes):
        return None
    # The innermost says it shortest: Connection refused, out of several layers of wrapping.
    words = [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]
    slow = any("timed out" in str(cause) for cause in causes)
    heart = words[-1] if words else "timed out" if slow else plain(causes[-1], source)
    return failure(Reason.NETWORK, source, f"no connection ({heart})")


def _by_status(source: str, error: network.HTTPError) -> StageError:
    if error.redirect_loop:
        return failure(Reason.UNSUPPORTED_URL, source, "redirects in a circle")
    status = error.status
    usual = Reason.NETWORK if status >= 500 else Reason.UNSUPPORTED_URL
    wait = _retry_after(error.response.headers.get("Retry-After"))
    said = f"the site answers HTTP {status} {error.reason or ''}".strip()
    return failure(_STATUSES.get(status, usual), source, said, wait)


def _retry_after(header: str | None) -> float | None:
    """Seconds to wait, from seconds or a date (RFC 9110, section 10.2.3)."""
    if not header:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


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
