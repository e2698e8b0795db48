"""What a playlist, channel, feed or page holds, as rows that a person reviews before a run."""

import contextlib
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from yt_dlp.utils import unsmuggle_url

from vc_core import files
from vc_download import client
from vc_download.client import Client
from vc_download.engine import local_path
from vc_download.failures import Reason, failure
from vc_download.options import ListOptions
from vc_download.web import LIVE, plain_text, public_id

COLUMNS = ("id", "url", "title", "seconds", "licence")

_LISTS = re.compile(r"(Tab|Playlist|Channel|User|Show|Series|Album|Season|Set|Podcast)s?$")
PATIENCE = 21_600.0  # seconds that a list may take
_DEPTH = 3  # a channel holds tabs, a tab holds recordings
_CLOSED = {"private", "premium_only", "subscriber_only", "needs_auth"}
_GONE = {"[Private video]": "private", "[Deleted video]": "removed"}


@dataclass(frozen=True)
class Row:
    """One recording of a list; ``refused`` says why it cannot be had, "" where it can."""

    id: str
    url: str
    title: str
    seconds: str
    licence: str
    refused: str = ""


def recordings(url: str, options: ListOptions) -> list[Row]:
    """The recordings behind ``url``, each once, at most ``options.max`` of them.

    Raises the failures of ``vc_download.failures``.
    """
    if local_path(url) is not None:
        raise failure(Reason.UNSUPPORTED_URL, url, "is no http(s) URL")
    only = f"1:{options.max}"
    # Nothing is downloaded but pages, whose size is limited anyhow.
    with client.opened(url, options, longest=PATIENCE, most=math.inf, playlist_items=only) as site:
        found = [_row(entry) for entry in _entries(site, site.extract_info(url, download=False))]
    rows = list({row.url: row for row in found if row.url}.values())[: options.max]
    if not rows:
        raise failure(Reason.UNSUPPORTED_URL, url, "lists no recordings")
    return _with_own_ids(rows)


def write(rows: list[Row], output: Path) -> None:
    """Write the sources_file; ``-`` is stdout. What cannot be had stands there as a comment."""
    with _opened(output) as file:
        file.write("\t".join(COLUMNS) + "\n")
        for row in rows:
            cells = [getattr(row, name) for name in COLUMNS]
            if row.refused:
                cells[0] = f"# {row.refused}: {row.id}"
            file.write("\t".join(cells) + "\n")


@contextlib.contextmanager
def _opened(output: Path) -> Iterator[TextIO]:
    if str(output) == "-":
        yield sys.stdout
        return
    with files.atomic(output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        yield file


def _entries(site: Client, info: dict[str, Any], depth: int = 0) -> Iterator[dict[str, Any]]:
    """The recordings in what yt-dlp found, playlists within playlists opened."""
    if info.get("_type", "video") in ("playlist", "multi_video"):
        for entry in info.get("entries") or []:
            if entry:
                yield from _entries(site, entry, depth)
    elif info.get("_type") in ("url", "url_transparent") and _is_list(info, depth):
        yield from _entries(site, site.extract_info(info["url"], download=False), depth + 1)
    else:
        yield info


def _is_list(entry: dict[str, Any], depth: int) -> bool:
    """Whether an entry is itself a list, by the name of its extractor: to ask costs a request."""
    return depth < _DEPTH and bool(_LISTS.search(str(entry.get("ie_key") or "")))


def _row(entry: dict[str, Any]) -> Row:
    """A row whose cells hold no tabs or line ends. Only http(s) URLs come into a list."""
    title = plain_text(entry.get("title")) or ""
    seconds = entry.get("duration")
    return Row(
        id=_name(public_id(entry) or title or "recording"),
        url=_url(entry),
        title=title,
        seconds=f"{float(seconds):.0f}" if seconds else "",
        licence=plain_text(entry.get("license")) or "",
        refused=_refused(entry, title),
    )


def _url(entry: dict[str, Any]) -> str:
    """The http(s) URL that leads to this recording alone; "" where there is none."""
    url = str(entry.get("url") or "")
    page = str(entry.get("webpage_url") or "")
    whole = entry.get("_type", "video") == "video"
    if whole and page and page != entry.get("playlist_webpage_url"):
        url = page
    # What extractors of yt-dlp tell each other stands behind the URL.
    url = unsmuggle_url(url)[0]
    return url if re.match(r"https?://\S+$", url, re.IGNORECASE) else ""


def _refused(entry: dict[str, Any], title: str) -> str:
    """Why the list itself says that a recording cannot be had, as a reason."""
    if entry.get("live_status") in LIVE:
        return str(Reason.LIVE)
    if entry.get("availability") in _CLOSED:
        return str(Reason.LOGIN_REQUIRED)
    return _GONE.get(title, "")


def _name(text: str) -> str:
    """A name that is safe in paths: what the net calls a recording never becomes one."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:56].rstrip("-")
    return name if re.match(r"[A-Za-z0-9]", name) else f"s{name}"


def _with_own_ids(rows: list[Row]) -> list[Row]:
    """The same rows, with a number behind ids that are there before."""
    seen: dict[str, int] = {}
    told = []
    for row in rows:
        count = seen[row.id] = seen.get(row.id, 0) + 1
        told.append(row if count == 1 else replace(row, id=f"{row.id}-{count}"))
    return told
