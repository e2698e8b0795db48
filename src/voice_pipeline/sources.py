"""The recordings of a voice: one in the configuration, or many in a table."""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, ValidationError, model_validator

from vc_core import shared, tables
from vc_core.options import NonEmpty
from vc_core.urls import public
from voice_pipeline.section import NAME_PATTERN, Name, Section

# Columns of a table of sources, and those of them that are more than reading matter.
USED = ("id", "url", "licence", "start", "end")
COLUMNS = ("id", "url", "title", "seconds", "licence", "start", "end")
# What the cells of a table without a header are.
WITHOUT_HEADER = ("url", "id", "licence")


class Source(Section):
    """One recording: a URL that yt-dlp knows, or a file."""

    id: Name = Field(description="Name of the source in paths; unique within its voice.")
    url: NonEmpty = Field(description="http(s) URL, or path of a local recording.")
    licence: shared.Licence
    start: float | None = Field(
        None,
        ge=0,
        description="Where in the recording to begin, seconds; default: its start. All times of "
        "the source, those of a reference too, count from here.",
    )
    end: float | None = Field(
        None,
        gt=0,
        description="Where in the recording to end, seconds; default: its end.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Source":
        if self.end is not None and self.end <= (self.start or 0.0):
            raise ValueError(f"end ({self.end:g}) must be after start ({self.start or 0.0:g})")
        return self


def source_id(url: str) -> str:
    """A name for a source from its URL: YouTube's video id, else the last part of the path.

    Raises ValueError for what can be no URL, such as ``http://[::1/talk.mp3``.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"url is {public(url)!r}: {error}; correct it") from None
    video = parse_qs(parts.query).get("v") if "youtube." in parts.netloc else None
    stem = video[0] if video else Path(parts.path).stem or parts.netloc
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-")[:64].rstrip("-")
    # A YouTube id may begin with a dash or underscore, a name may not.
    return name if re.fullmatch(NAME_PATTERN, name) else f"s{name}"[:64]


def twice(sources: Sequence[Source]) -> str:
    """What is wrong where two sources have one id, naming both; "" where none have."""
    seen: dict[str, Source] = {}
    for source in sources:
        other = seen.setdefault(source.id, source)
        if other is not source:
            return (
                f"source id {source.id!r} is there twice ({public(other.url)} and "
                f"{public(source.url)}); "
                "give each its own 'id'"
            )
    return ""


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a sources_file, a TSV as ``vc-download list`` writes it; each a Source's keys.

    Columns go by the names in the header. Without one they are url, id and licence. Blank lines
    and # comments are passed over. Raises ValueError naming file and line.
    """
    rows = tables.read(
        path,
        COLUMNS,
        required=("url",),
        key="sources_file",
        comments=True,
        headless=WITHOUT_HEADER,
    )
    return [_checked(row) for row in rows]


def _checked(row: tables.Row) -> dict[str, str]:
    given = {name: row.cells[name] for name in USED if row.cells[name]}
    if "url" not in given:
        raise ValueError(f"{row.place}: has no url; give one, or put # before the line")
    try:
        given.setdefault("id", source_id(given["url"]))
        Source.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        key = ".".join(str(part) for part in first["loc"])
        named = f"{key} is {first['input']!r}: " if key else ""
        raise ValueError(f"{row.place}: {named}{said}") from None
    except ValueError as error:
        raise ValueError(f"{row.place}: {error}") from None
    return given
