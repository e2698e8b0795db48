"""Why a recording cannot be had: one enumeration, what each means, how each is mended."""

import time
from enum import StrEnum

from vc_core import tools, urls
from vc_core.errors import InputError, StageError, TryAgainError


class Reason(StrEnum):
    """The reasons; they stand in ``failures.json`` and in the report under these names."""

    NOT_FOUND = "not_found"
    PRIVATE = "private"
    REMOVED = "removed"
    AGE_RESTRICTED = "age_restricted"
    LOGIN_REQUIRED = "login_required"
    BOT_CHECK = "bot_check"
    GEO_BLOCKED = "geo_blocked"
    RATE_LIMITED = "rate_limited"
    NETWORK = "network"
    NO_AUDIO = "no_audio"
    TOO_LONG = "too_long"
    TOO_LARGE = "too_large"
    LIVE = "live"
    UNSUPPORTED_URL = "unsupported_url"
    REFUSED_ADDRESS = "refused_address"
    DISK_FULL = "disk_full"


# How the user mends each.
MENDS: dict[Reason, str] = {
    Reason.NOT_FOUND: "check the URL or path in a browser or with ls",
    Reason.PRIVATE: "ask its owner, or set download.cookies to those of an account that may see it",
    Reason.REMOVED: "take the source out of the configuration, or give another copy of it",
    Reason.AGE_RESTRICTED: "set download.cookies to those of an account of age",
    Reason.LOGIN_REQUIRED: "set download.cookies to a file of cookies exported from a browser",
    Reason.BOT_CHECK: "set download.cookies, raise download.sleep, or use another download.proxy",
    Reason.GEO_BLOCKED: "set download.proxy to one in a country where it may be heard",
    Reason.RATE_LIMITED: "raise download.sleep, let fewer downloads run at once, run again",
    Reason.NETWORK: "run again; if it stays so, check the connection and download.proxy",
    Reason.NO_AUDIO: "give a complete recording with an audio track that ffmpeg reads",
    Reason.TOO_LONG: "give the source a start and end, or raise download.max_seconds",
    Reason.TOO_LARGE: "raise download.max_mb, or give a smaller file",
    Reason.LIVE: "wait for its end, and give the URL of its recording",
    Reason.UNSUPPORTED_URL: "give the URL of one recording; vc-download list shows those of a page",
    Reason.REFUSED_ADDRESS: "if you trust it, name it in download.allow_hosts or download.folders",
    Reason.DISK_FULL: "free some space, or set work_dir to another disk, and run again",
}

# What another try, later, may mend without anybody's doing.
WORTH_A_RETRY = frozenset({Reason.RATE_LIMITED, Reason.NETWORK, Reason.DISK_FULL})


def failure(
    reason: Reason,
    source: str,
    said: str,
    retry_after: float | None = None,
    mend: str | None = None,
) -> StageError:
    """The exception for ``reason``: one line of what, where and how to mend it.

    What may be secret in the ``source``, or in a URL in what is ``said``, does not stand in it.

    TryAgainError (exit 75) where another try may help, InputError (exit 3) otherwise. Its details
    hold ``reason``, ``mend`` and, where the site says how many seconds to wait, ``retry_at`` in
    seconds since the epoch.
    """
    mend = mend or MENDS[reason]
    details: dict[str, str | float] = {"reason": str(reason), "mend": mend}
    if retry_after is not None:
        details["retry_at"] = round(time.time() + retry_after, 1)
    kind = TryAgainError if reason in WORTH_A_RETRY else InputError
    told = f"{urls.public(source)}: {urls.scrubbed(said)}"
    return kind(tools.printable(f"{told} ({reason}); {mend}"), **details)
