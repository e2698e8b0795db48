"""Captions that people wrote: read from WebVTT or SubRip, without what is not said."""

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vc_core.errors import InputError

if TYPE_CHECKING:
    from webvtt.models import Timestamp

BESIDE = "captions.vtt"  # as vc-download writes it

# What stands in captions and is not said, in the order in which it is taken away.
_NOT_SAID = (
    re.compile(r"\{[^}]*\}"),  # {\an8}: where to put it
    re.compile(r"<[^>]*>"),  # <i>, <v Anna>
    re.compile(r"\[[^\]]*\]|\([^)]*\)"),  # [Music], (laughs)
    re.compile(r"[♪♫][^♪♫]*[♪♫]|#\s[^#]*\s#|[♪♫]"),  # sung: ♪ la la ♪
    re.compile(r"^[ \t]*(>>+|[-–—•])[ \t]*", re.MULTILINE),  # somebody else begins to speak
    re.compile(r"^[ \t]*[A-Z][A-Z0-9 .'’-]{0,30}:(?=\s)", re.MULTILINE),  # ANNA:
)


@dataclass(frozen=True)
class Cue:
    """What is said in [start, end) seconds, in words as people write them."""

    start: float
    end: float
    words: tuple[str, ...]


def read(path: Path) -> list[Cue]:
    """The cues of a .vtt or .srt file; raises InputError when it is neither, or has none."""
    import webvtt

    load = webvtt.from_srt if path.suffix.lower() == ".srt" else webvtt.read
    try:
        found = load(str(path))
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError) as error:
        raise InputError(f"{path}: not captions in WebVTT or SubRip ({error})") from None
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); captions are UTF-8 text") from None
    cues: list[Cue] = []
    before = ""
    for caption in found.captions:
        # Captions that roll up show a line again above the next one.
        lines = [line for line in caption.raw_text.splitlines() if line.strip()]
        fresh = lines[1:] if lines and before and lines[0] == before else lines
        before = lines[-1] if lines else before
        words = tuple(said(html.unescape("\n".join(fresh))).split())
        if words:
            cues.append(Cue(_seconds(caption.start_time), _seconds(caption.end_time), words))
    if not cues:
        raise InputError(f"{path}: has no words; leave the captions out with --captions none")
    return cues


def said(lines: str) -> str:
    """The lines of a caption without speakers' names, marks, descriptions of sounds, and tags."""
    for mark in _NOT_SAID:
        lines = mark.sub(" ", lines)
    return " ".join(word for word in lines.split() if any(map(str.isalnum, word)))


def _seconds(time: "Timestamp") -> float:
    return time.in_milliseconds() / 1000
