"""A recording from the web: the best audio of one URL, and what its site says of it."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yt_dlp
from yt_dlp.extractor.generic import GenericIE

from vc_core import tools, urls
from vc_core.errors import InputError
from vc_download import caps, captions, client, extractors, resuming
from vc_download.failures import Reason, failure
from vc_download.fetched import Fetched
from vc_download.options import DownloadOptions
from vc_download.scratch import ORIGINAL
from vc_download.section import Section

# What yt-dlp downloads itself, through the client; others it would leave to other programs.
_PROTOCOLS = {"http", "https", "m3u8", "m3u8_native", "http_dash_segments", "ism"}
LIVE = ("is_live", "is_upcoming", "post_live")

_MOST_FORMATS = 50


def fetch(url: str, folder: Path, section: Section, options: DownloadOptions) -> Fetched:
    """Download the best audio of ``url`` into ``folder``, and its captions.

    What an earlier, killed run left in the folder is gone on from. Raises the failures of
    ``vc_download.failures``.
    """
    wanted = _Wanted(url, folder, section, options)
    if extractors.is_plain_file(url):
        try:
            return wanted.fetch(plain=True)
        except InputError as error:
            # It may have led to a page of a site after all.
            if error.details.get("reason") != Reason.UNSUPPORTED_URL:
                raise
    return wanted.fetch(plain=False)


@dataclass(frozen=True)
class _Wanted:
    """What is wanted, and on which terms."""

    url: str
    folder: Path
    section: Section
    options: DownloadOptions

    def fetch(self, plain: bool) -> Fetched:
        url, options, original = self.url, self.options, self.folder / ORIGINAL
        with client.opened(
            url,
            options,
            longest=options.max_seconds,
            most=options.max_bytes,
            plain=plain,
            playlist_items="1:2",
        ) as site:
            # First only ask: a playlist must not start to download.
            info = site.extract_info(url, download=False)
            _must_be_one_recording(url, info)
            _must_fit(url, info, self.section, options)
            resuming.keep_only(self.folder, _choice(info))
            if not original.is_file():
                caps.must_have_room(url, _size(info), self.folder)
                if not site.fetch(info, original) or not original.is_file():
                    raise failure(Reason.NO_AUDIO, url, "gave no file")
            found = captions.fetch(site, info, self.folder, options.language, options.captions)
        versions = {"yt-dlp": yt_dlp.version.__version__}
        return Fetched(original, _facts(url, info), found, versions)


def public_id(info: dict[str, Any]) -> str:
    """The site's id of a recording, "" where it has none.

    Where no site has named it, yt-dlp takes the end of its URL, query and all: here without what
    may be secret.
    """
    told, page = str(info.get("id") or ""), str(info.get("webpage_url") or "")
    end = GenericIE._generic_id(page)
    if end and told.startswith(end):
        told = GenericIE._generic_id(urls.public(page)) + told.removeprefix(end)
    return urls.scrubbed(told)


def plain_text(value: Any, longest: int = 500) -> str | None:
    """A site's words in one line, without control characters; None for nothing."""
    if value is None:
        return None
    return re.sub(r"\s+", " ", tools.printable(str(value))).strip()[:longest] or None


def _must_be_one_recording(url: str, info: dict[str, Any]) -> None:
    if info.get("_type") in ("playlist", "multi_video"):
        said = "is a playlist or a page of several recordings, and one source is one recording"
        raise failure(Reason.UNSUPPORTED_URL, url, said)
    if info.get("is_live") or info.get("live_status") in LIVE:
        raise failure(Reason.LIVE, url, "is a live stream that has not ended")
    protocol = str(info.get("protocol"))
    if protocol not in _PROTOCOLS:
        raise failure(Reason.UNSUPPORTED_URL, url, f"is sent by {protocol}, not by HTTP")


def _must_fit(url: str, info: dict[str, Any], section: Section, options: DownloadOptions) -> None:
    caps.must_be_short(url, section.length(info.get("duration") or 0.0), options.max_seconds)
    caps.must_be_small(url, _size(info), options.max_bytes)


def _size(info: dict[str, Any]) -> int:
    """Bytes of the chosen format, as far as its site tells; 0 where it does not."""
    return int(info.get("filesize") or info.get("filesize_approx") or 0)


def _choice(info: dict[str, Any]) -> dict[str, Any]:
    told = {key: info.get(key) for key in ("extractor", "format_id", "filesize")}
    return told | {"id": public_id(info)}


def _facts(url: str, info: dict[str, Any]) -> dict[str, Any]:
    page = urls.public(str(info.get("webpage_url") or url))
    return {
        "url": urls.public(url),
        "canonical_url": plain_text(page, 2000),
        "extractor": info["extractor"],
        "id": plain_text(public_id(info)),
        "title": plain_text(info.get("title")),
        "uploader": plain_text(info.get("uploader") or info.get("channel")),
        "upload_date": _date(info.get("upload_date")),
        "licence": plain_text(info.get("license")),
        "language": plain_text(info.get("language")),
        "formats": _formats(info),
    }


def _formats(info: dict[str, Any]) -> list[dict[str, Any]]:
    """The formats with sound that the site offered, best last as yt-dlp sorts them."""
    told = [row for row in info.get("formats") or [info] if row.get("acodec") != "none"]
    return [
        {
            "id": plain_text(row.get("format_id")),
            "container": plain_text(row.get("ext")),
            "codec": plain_text(row.get("acodec")),
            "kbit_s": row.get("abr") or row.get("tbr"),
            "rate": row.get("asr"),
            "bytes": row.get("filesize") or row.get("filesize_approx"),
            "taken": row.get("format_id") == info.get("format_id"),
        }
        for row in told[-_MOST_FORMATS:]
    ]


def _date(digits: str | None) -> str | None:
    """``20260110`` as ``2026-01-10``."""
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if digits else None
