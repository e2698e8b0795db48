"""The recordings of a voice: one in the configuration, or many in a table."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, ValidationError, model_validator

from voice_pipeline.section import NAME_PATTERN, Name, NonEmpty, Section

# Columns of a table of sources, and those of them that are more than reading matter.
USED = ("id", "url", "licence", "start", "end")
COLUMNS = ("id", "url", "title", "seconds", "licence", "start", "end")
# What the cells of a table without a header are.
WITHOUT_HEADER = ("url", "id", "licence")


class Source(Section):
    """One recording: a URL that yt-dlp knows, or a file."""

    id: Name = Field(description="Name of the source in paths; unique within its voice.")
    url: NonEmpty = Field(description="http(s) URL, or path of a local recording.")
    licence: str = Field("", description="Licence of the recording; carried into every card.")
    start: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Where in the recording to begin, seconds; default: its start. All times of "
        "the source, those of a reference too, count from here.",
    )
    end: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Where in the recording to end, seconds; default: its end.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Source":
        if self.end is not None and self.end <= (self.start or 0.0):
            raise ValueError(f"end ({self.end:g}) must be after start ({self.start or 0.0:g})")
        return self


def source_id(url: str) -> str:
    """A name for a source from its URL: YouTube's video id, else the last part of the path."""
    parts = urlsplit(url)
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
                f"source id {source.id!r} is there twice ({other.url} and {source.url}); "
                "give each its own 'id'"
            )
    return ""


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a sources_file, a TSV as ``vc-download list`` writes it; each a Source's keys.

    Columns go by the names in the header. Without one they are url, id and licence. Blank lines
    and # comments are passed over. Raises ValueError naming file and line.
    """
    rows = []
    header: Sequence[str] = ()
    for number, cells in _lines(path):
        where = f"sources_file {path}, line {number}"
        if not header:
            header = _header(cells, where) or WITHOUT_HEADER
            if header is not WITHOUT_HEADER:
                continue
        rows.append(_row(header, cells, where))
    return rows


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The cells of every line that holds some, with the line's number from 1."""
    try:
        text = path.read_text("utf-8-sig")  # spreadsheets write a byte order mark
    except OSError as error:
        raise ValueError(f"sources_file {path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError(f"sources_file {path}: is not UTF-8 text; save it as that") from None
    # Not splitlines(): a title may hold one of the rarer line ends that it knows.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, [cell.strip() for cell in line.split("\t")]


def _header(cells: Sequence[str], where: str) -> tuple[str, ...] | None:
    """The names of the columns, or None when the line is a row already."""
    names = tuple(cell.lower() for cell in cells)
    if "url" not in names and names[0] not in COLUMNS:
        return None
    known = "there are: " + ", ".join(COLUMNS)
    unknown = [cell for cell, name in zip(cells, names, strict=True) if name not in COLUMNS]
    if unknown:
        raise ValueError(f"{where}: {unknown[0]!r} is no column; {known}")
    if "url" not in names:
        raise ValueError(f"{where}: the header has no column 'url'; {known}")
    double = [name for name in names if names.count(name) > 1]
    if double:
        raise ValueError(f"{where}: column {double[0]!r} is there twice; leave one of them out")
    return names


def _row(header: Sequence[str], cells: Sequence[str], where: str) -> dict[str, str]:
    if len(cells) > len(header):
        raise ValueError(
            f"{where}: has {len(cells)} cells, the table {len(header)} columns "
            f"({', '.join(header)}); cells are separated by one tab"
        )
    given = dict(zip(header, cells, strict=False))
    row = {name: given[name] for name in USED if given.get(name)}
    if "url" not in row:
        raise ValueError(f"{where}: has no url; give one, or put # before the line")
    try:
        row.setdefault("id", source_id(row["url"]))
        Source.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        key = ".".join(str(part) for part in first["loc"])
        named = f"{key} is {first['input']!r}: " if key else ""
        raise ValueError(f"{where}: {named}{said}") from None
    except ValueError as error:
        raise ValueError(f"{where}: url is {row['url']!r}: {error}") from None
    return row
