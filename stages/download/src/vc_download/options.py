"""The options of ``vc-download`` and of ``vc-download list``."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from vc_core import shared
from vc_core.options import Ambient, Environment, Home, NonEmpty, Options

_UNITS = {"K": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def _listed(given: Any) -> Any:
    if isinstance(given, str):
        raise ValueError(f"must be a list; write [{given}]")
    return given


class AccessOptions(Options):
    """How to get at recordings.

    None of it says what is got, so a change of it fetches nothing again. It may be secret, so it
    travels by the environment, and stands in no record.
    """

    cookies: Annotated[
        Path | None,
        Field(
            default=None,
            description="Cookies exported from a browser, Netscape format, for what needs them.",
        ),
        Ambient("DOWNLOAD_COOKIES", missing="write the cookies of your browser to it"),
    ]
    user_agent: Annotated[
        str,
        Field(default="", description="What to call itself; empty: as yt-dlp does."),
        Ambient("DOWNLOAD_USER_AGENT"),
    ]
    proxy: Annotated[
        str,
        Field(
            default="",
            description="Proxy, such as socks5://127.0.0.1:1080; one with a password only as "
            "DOWNLOAD_PROXY in the environment.",
        ),
        Ambient(
            "DOWNLOAD_PROXY",
            refused="@",
            # The configuration is written down beside the results.
            why="has a user name or password in it; leave it out here, and give the whole as "
            "DOWNLOAD_PROXY in the environment or in .env instead",
        ),
    ]
    rate_limit: Annotated[
        str,
        StringConstraints(pattern=r"^(\d+(\.\d+)?[KMGkmg]?)?$"),
        Field(
            default="",
            description="Most bytes a second of each download, such as 500K or 2M; empty: any.",
        ),
        Ambient("DOWNLOAD_RATE_LIMIT"),
    ]
    sleep: Annotated[
        float,
        Field(default=0.0, ge=0, le=3600, description="Seconds between requests to a site."),
        Ambient("DOWNLOAD_SLEEP"),
    ]
    js_runtime: Annotated[
        str,
        StringConstraints(pattern=r"^(deno|node|bun|quickjs|none)(:.+)?$"),
        Field(
            default="deno",
            description="What runs YouTube's JavaScript: deno, node, bun, quickjs or none, with "
            ":PATH if need be.",
        ),
        Ambient("DOWNLOAD_JS_RUNTIME"),
    ]
    allow_hosts: Annotated[
        tuple[NonEmpty, ...],
        BeforeValidator(_listed),
        Field(
            default=(),
            description="Hosts that may have loopback or private addresses, as the URLs name them.",
        ),
        Ambient("DOWNLOAD_ALLOW_HOSTS", separator=","),
    ]

    @property
    def bytes_a_second(self) -> int | None:
        """The rate limit as a number; None for any rate."""
        if not self.rate_limit:
            return None
        unit = _UNITS.get(self.rate_limit[-1].upper(), 1)
        return round(float(self.rate_limit.rstrip("KMGkmg")) * unit)


class DownloadOptions(AccessOptions):
    """Getting the recording."""

    folders: Annotated[
        tuple[Path, ...],
        BeforeValidator(_listed),
        Field(default=(), description="Folders that local recordings may lie in; empty: any."),
        Ambient("DOWNLOAD_FOLDERS", separator=os.pathsep),
    ]
    max_seconds: Annotated[
        float,
        Field(default=21_600.0, gt=0, description="Longest recording, or section of one, seconds."),
        Ambient("DOWNLOAD_MAX_SECONDS"),
    ]
    max_mb: Annotated[
        float,
        Field(default=10_000.0, gt=0, description="Largest original, MB."),
        Ambient("DOWNLOAD_MAX_MB"),
    ]
    retry_wait: Annotated[
        float,
        Field(
            default=30.0,
            ge=0,
            description="Seconds before a second attempt; four times as long before the third.",
        ),
        Ambient("DOWNLOAD_RETRY_WAIT"),
    ]
    sample_rate: Annotated[
        int,
        Field(default=44_100, ge=8_000, le=192_000, description="Rate of the WAV, Hz."),
        Environment("AUDIO_SAMPLE_RATE"),
    ]
    channels: Annotated[
        int,
        Field(default=2, ge=1, le=2, description="Channels of the WAV."),
        Environment("AUDIO_CHANNELS"),
    ]
    captions: Annotated[
        Literal["people", "any", "none"],
        Field(
            default="people",
            description="Whose captions are kept; any: automatic ones where people wrote none.",
        ),
    ]
    # Not the shared type: who fetches by hand need not know what is spoken.
    language: Annotated[
        str,
        Field(
            default="",
            description="Language of the captions, such as en; empty: the recording's own.",
        ),
        Home("voices.*.language"),
    ]
    licence: shared.Licence

    @property
    def max_bytes(self) -> int:
        """The largest original in bytes."""
        return round(self.max_mb * 1e6)


class ListOptions(AccessOptions):
    """Listing the recordings of a playlist, channel, feed or page."""

    max: Annotated[int, Field(default=10_000, ge=1, description="Most recordings to list.")]
