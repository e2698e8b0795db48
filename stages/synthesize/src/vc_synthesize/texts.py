"""What is to be said: texts from the command line, from files and tables, in sayable parts."""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vc_core import tables
from vc_core.errors import InputError

STDIN = "-"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
COLUMNS = ("text", "id", "seed")

# Seconds of silence put between the parts of a text, beside what trimming leaves of their own.
AFTER_CLAUSE, AFTER_SENTENCE, AFTER_PARAGRAPH = 0.05, 0.25, 0.6

PARAGRAPH = re.compile(r"\n\s*\n")
CLAUSE = re.compile(r"(?<=[,;:–—])\s+")


@dataclass(frozen=True)
class Text:
    """A text, the name of its file without suffix, and its seed."""

    text: str
    name: str
    seed: int


@dataclass(frozen=True)
class Part:
    """As much of a text as the model says at once, its seed, and the pause after it in s."""

    text: str
    seed: int
    pause: float


def gather(given: Sequence[str], file: Path | None, seed: int) -> list[Text]:
    """Texts of the command line, then of the file; a ``-`` stands for standard input.

    Without names and seeds of their own they are numbered, and have one seed after another.
    Raises InputError when there is none, or when a table is not right.
    """
    rows: list[dict[str, str]] = []
    for text in given:
        rows += _lines(sys.stdin.read()) if text == STDIN else _lines(text, whole=True)
    if file:
        rows += _rows(file)
    texts = [
        Text(
            row["text"],
            row.get("id") or f"{index:03d}",
            int(row.get("seed") or seed + index),
        )
        for index, row in enumerate(rows)
    ]
    if not texts:
        raise InputError("nothing to say: give texts, or a file of them with --texts")
    taken: set[str] = set()
    for each in texts:
        # Some file systems do not tell upper from lower case.
        if each.name.casefold() in taken:
            raise InputError(f"id {each.name!r}: two texts have it; give each its own")
        taken.add(each.name.casefold())
    return texts


def parts_of(text: Text, letters: int, language: str) -> list[Part]:
    """A text in parts of at most so many letters: at sentences, else at clauses, else at words.

    What fits stays together, because the model says it better in one breath. The last part has
    no pause, the first one the text's own seed.
    """
    found: list[tuple[str, float]] = []
    for paragraph in PARAGRAPH.split(text.text):
        line = " ".join(paragraph.split())
        whole = [line] if len(line) <= letters else _packed(_sentences(line, language), letters)
        for sentences in whole:
            pieces = _broken(sentences, letters)
            found += [(piece, AFTER_CLAUSE) for piece in pieces[:-1]]
            found.append((pieces[-1], AFTER_SENTENCE))
        found[-1] = (found[-1][0], AFTER_PARAGRAPH)
    found[-1] = (found[-1][0], 0.0)
    return [
        Part(piece, _seed(text.seed, number), pause) for number, (piece, pause) in enumerate(found)
    ]


def _seed(seed: int, part: int) -> int:
    """A seed of its own for every part, far from those of other texts."""
    return seed if part == 0 else int(np.random.SeedSequence((seed, part)).generate_state(1)[0])


def _sentences(line: str, language: str) -> list[str]:
    import sentencex

    return [said.strip() for said in sentencex.segment(language, line) if said.strip()]


def _broken(sentence: str, letters: int) -> list[str]:
    """A sentence in pieces that fit, at clause marks, else at words; a long word stays whole."""
    if len(sentence) <= letters:
        return [sentence]
    clauses = [
        piece
        for clause in CLAUSE.split(sentence)
        for piece in ([clause] if len(clause) <= letters else _packed(clause.split(), letters))
    ]
    return _packed(clauses, letters)


def _packed(pieces: Iterable[str], letters: int) -> list[str]:
    """Neighbours joined by a space for as long as they fit."""
    packed: list[str] = []
    for piece in pieces:
        if packed and len(packed[-1]) + 1 + len(piece) <= letters:
            packed[-1] += " " + piece
        else:
            packed.append(piece)
    return packed


def _lines(content: str, whole: bool = False) -> list[dict[str, str]]:
    lines = [content] if whole else content.splitlines()
    return [{"text": line.strip()} for line in lines if line.strip()]


def _rows(file: Path) -> list[dict[str, str]]:
    """One row a text: its text, and id and seed where a table gives them."""
    if str(file) == STDIN:
        return _lines(sys.stdin.read())
    if file.suffix in (".csv", ".tsv"):
        found = tables.read(file, COLUMNS, required=("text",), others=True)
        return [_checked(row.place, row.cells) for row in found]
    try:
        content = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not UTF-8 ({error.reason}); save it as UTF-8") from None
    if file.suffix != ".jsonl":
        return _lines(content)
    return [_checked(f"{file}:{number}", row) for number, row in _json_rows(file, content)]


def _json_rows(file: Path, content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{file}:{number}: not JSON ({error.msg}); one object a line"
            ) from None
        if not isinstance(row, dict):
            raise InputError(f'{file}:{number}: not an object; write {{"text": ...}}')
        yield number, row


def _checked(place: str, row: dict[str, Any]) -> dict[str, str]:
    """A table's row with what is ours in it; raises InputError that names the place."""
    cells = {name: str(row[name]).strip() for name in COLUMNS if row.get(name) is not None}
    if not cells.get("text"):
        raise InputError(f"{place}: has no text; fill the column, or remove the row")
    if cells.get("id") and not NAME.fullmatch(cells["id"]):
        raise InputError(
            f"{place}: id {cells['id']!r} cannot name a file; use letters, digits, '.', '_', '-'"
        )
    if cells.get("seed") and not cells["seed"].isdecimal():
        raise InputError(f"{place}: seed {cells['seed']!r} is no whole number; give 0 or more")
    return cells
