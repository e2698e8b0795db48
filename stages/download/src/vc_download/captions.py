"""Captions of a recording: whose, in which language, and where they begin in a section."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vc_core import log, tools, urls
from vc_core.errors import StageError, ToolError
from vc_download.fetched import Captions
from vc_download.section import Section

if TYPE_CHECKING:
    from vc_download.client import Client

logger = log.get("download")

# What ffmpeg reads, best first.
_FORMATS = ("vtt", "srt", "ass")


def fetch(
    client: "Client", info: dict[str, Any], folder: Path, language: str, whose: str
) -> Captions | None:
    """The captions that fit, as their site gives them; trouble with them is only a warning.

    ``whose`` is people, any (automatic ones where people wrote none) or none. With ``language``
    "" that of the recording counts.
    """
    # Local files, whose captions nobody fetches, do without yt-dlp.
    from yt_dlp.utils import YoutubeDLError

    from vc_download import refusals

    offered = [("people", info.get("subtitles") or {})]
    if whose == "any":
        offered.append(("automatic", info.get("automatic_captions") or {}))
    wanted = language or info.get("language")
    for by, there in offered if whose != "none" else []:
        chosen = fitting([name for name, tracks in there.items() if _readable(tracks)], wanted)
        if chosen is None:
            continue
        track = _readable(there[chosen])
        path = folder / f"given.{track['ext']}"
        try:
            _save(client, track | {"http_headers": info.get("http_headers")}, path)
        except (YoutubeDLError, StageError, OSError) as error:
            said = refusals.plain(error, client.source)
            source = urls.public(client.source)
            logger.warning("%s: captions (%s) left out: %s", source, chosen, said)
            continue
        return Captions(path, by, chosen)
    return None


def fitting(there: list[str], wanted: str | None) -> str | None:
    """The captions in the wanted language or a variant of it; the first where none is wanted."""
    spoken = [name for name in there if name != "live_chat"]
    if wanted is None:
        return "en" if "en" in spoken else next(iter(spoken), None)
    base = wanted.split("-")[0]
    for fits in (wanted, base):
        if fits in spoken:
            return fits
    return next((name for name in spoken if name.split("-")[0] == base), None)


def write(captions: Captions, target: Path, section: Section) -> None:
    """Write WebVTT to ``target``, with times that count from the start of the section.

    Raises ToolError when they are no captions.
    """
    cut: list[str] = []
    if section.start:
        cut += ["-ss", f"{section.start:.6f}"]
    if section.end:
        cut += ["-to", f"{section.end:.6f}"]
    formats = "webvtt,srt,ass"
    tools.run(
        [
            *("ffmpeg", "-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file"),
            *("-format_whitelist", formats, "-i", f"file:{captions.path}"),
            # Behind the input, where what began before the section is left out.
            *(*cut, "-f", "webvtt", f"file:{target}"),
        ]
    )
    if not re.search(r"-->", target.read_text("utf-8", "replace")):
        raise ToolError("they hold no words in this section")


def _readable(tracks: list[dict[str, Any]]) -> dict[str, Any]:
    """The track in the best format that ffmpeg reads; empty where there is none."""
    for form in _FORMATS:
        for track in tracks:
            if track.get("ext") == form and (track.get("url") or track.get("data")):
                return track
    return {}


def _save(client: "Client", track: dict[str, Any], path: Path) -> None:
    if track.get("data") is not None:
        path.write_text(track["data"], "utf-8")
    else:
        client.caption(track, path)
