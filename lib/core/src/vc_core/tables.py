"""Tables that people fill in: tab-separated text, or comma-separated in a ``.csv``, with a header.

``read(path, columns, required)`` gives the rows by column, each with its place for messages.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vc_core.errors import InputError


@dataclass(frozen=True)
class Row:
    """One row: its cells by column, "" where it has none, and ``place``, file and line to name."""

    cells: dict[str, str]
    place: str


@dataclass(frozen=True)
class _Table:
    """Which table is read, as messages name it, and by which names its columns go."""

    path: Path
    key: str
    columns: Sequence[str]
    required: Sequence[str]
    others: bool

    @property
    def commas(self) -> bool:
        """Whether commas separate its cells, not tabs."""
        return self.path.suffix.lower() == ".csv"

    def place(self, number: int) -> str:
        """The table's line ``number``, counted from 1."""
        return f"{self.key} {self.path}, line {number}" if self.key else f"{self.path}:{number}"


def read(
    path: Path,
    columns: Sequence[str],
    required: Sequence[str] = (),
    *,
    key: str = "",
    others: bool = False,
    comments: bool = False,
    headless: Sequence[str] = (),
) -> list[Row]:
    """The rows of a table, whose header names some of ``columns`` in any order and case.

    It has to name those ``required``; with ``others`` it may name further ones, which are passed
    over. A first line that names none of them is a row of the columns ``headless``, if those are
    given. Cells come without space around them. Blank lines are passed over, with ``comments``
    those that begin with # too. ``key`` is that of the configuration by which people know the
    file. Raises InputError naming file and line.
    """
    table = _Table(path, key, columns, required, others)
    rows: list[Row] = []
    header: Sequence[str] = ()
    for number, cells in _filled(table, comments):
        if not header:
            if headless and _is_row(table, cells):
                header = headless
            else:
                header = _header(table, number, cells)
                continue
        rows.append(_row(table, number, header, cells))
    if not header and not headless:
        _header(table, 1, [])
    return rows


def _filled(table: _Table, comments: bool) -> Iterator[tuple[int, list[str]]]:
    """The stripped cells of every line that holds some, with the line's number from 1."""
    for number, cells in _lines(table):
        stripped = [cell.strip() for cell in cells]
        line = "".join(stripped)
        if line and not (comments and line.startswith("#")):
            yield number, stripped


def _lines(table: _Table) -> Iterator[tuple[int, list[str]]]:
    whole = f"{table.key} {table.path}".strip()
    try:
        text = table.path.read_text("utf-8-sig")  # spreadsheets write a byte order mark
    except OSError as error:
        raise InputError(f"{whole}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{whole}: is not UTF-8 text; save it as that") from None
    if not table.commas:
        # Not splitlines(): a cell may hold one of the rarer line ends that it knows.
        for number, line in enumerate(text.split("\n"), start=1):
            yield number, line.split("\t")
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(
            f"{table.place(reader.line_num)}: cannot be read as CSV ({error})"
        ) from None


def _is_row(table: _Table, cells: Sequence[str]) -> bool:
    """Whether a first line is no header."""
    names = [cell.lower() for cell in cells]
    return names[0] not in table.columns and not set(names) & set(table.required)


def _header(table: _Table, number: int, cells: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns; those that are passed over keep their own."""
    names = tuple(cell.lower() for cell in cells)
    known = f"there are: {', '.join(table.columns)}; the first line must be names of these"
    unknown = [cell for cell, name in zip(cells, names, strict=True) if name not in table.columns]
    if unknown and not table.others:
        raise InputError(f"{table.place(number)}: {unknown[0]!r} is no column; {known}")
    missing = [name for name in table.required if name not in names]
    if missing:
        raise InputError(f"{table.place(number)}: the header has no column {missing[0]!r}; {known}")
    twice = [name for name in names if name in table.columns and names.count(name) > 1]
    if twice:
        raise InputError(
            f"{table.place(number)}: column {twice[0]!r} is there twice; leave one of them out"
        )
    return names


def _row(table: _Table, number: int, header: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) > len(header):
        mark = "commas; quote a cell that holds one itself" if table.commas else "one tab"
        raise InputError(
            f"{table.place(number)}: has {len(cells)} cells, the table {len(header)} columns "
            f"({', '.join(header)}); cells are separated by {mark}"
        )
    given = dict(zip(header, cells, strict=False))
    return Row({name: given.get(name, "") for name in table.columns}, table.place(number))
