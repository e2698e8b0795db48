"""JSON-lines files between stages, one typed row a line."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from vc_core import files
from vc_core.errors import InputError

Row = TypeVar("Row")


@dataclasses.dataclass(frozen=True)
class Segment:
    """Who speaks in [start, end) seconds. The rows of a source tile it.

    ``label``: target, other, overlap, uncertain, music or silence. ``speaker``: the voice's
    number within this recording, "" where nobody speaks. ``similarity``: cosine to the
    target's voice in this recording. ``margin``: the log-odds that it is the target, above 0 for
    more likely than not.
    """

    start: float
    end: float
    label: str
    speaker: str = ""
    similarity: float | None = None
    margin: float | None = None


@dataclasses.dataclass(frozen=True)
class Word:
    """One word in [start, end) seconds with its probability in [0, 1].

    ``stretch`` counts the stretches of target speech that were transcribed one by one. Its own
    figures stand in each of its words: Whisper's ``no_speech`` probability, the ``compression``
    ratio of its text (text that repeats itself compresses well), the ``language`` heard, and the
    ``disagreement`` of what was heard with the captions, as a word error rate; None without any.

    ``word`` is as written, by Whisper or, where ``captioned``, by people; ``spoken`` is how it is
    said, None where that is the same: of "$5 million" the first word holds "five million
    dollars" and the second "". ``doubt`` says why the word was probably never said, "" if nothing
    speaks against it.
    """

    start: float
    end: float
    word: str
    confidence: float
    stretch: int
    no_speech: float
    compression: float
    language: str
    spoken: str | None = None
    doubt: str = ""
    captioned: bool = False
    disagreement: float | None = None


@dataclasses.dataclass(frozen=True)
class Clip:
    """One training clip: a file relative to the clips folder, its texts and its figures.

    ``text`` is what is said, as a voice learns it; ``written`` the same as people write it, and
    ``text_from`` whose word it is: ``heard`` by Whisper, from ``captions``, or ``corrected`` by
    hand. ``start`` and ``end`` are seconds in the source.

    ``similarity`` is the cosine to the reference, ``confidence`` the mean word probability,
    ``dnsmos`` the overall DNSMOS (1 to 5), ``loudness`` LUFS, ``snr`` speech over noise in dB,
    ``bandwidth`` the frequency in Hz up to which there is speech, ``clipped`` the share of
    flattened samples, ``rate`` letters a second of speech, ``disagreement`` the word error rate
    between captions and what was heard. None: not measured.
    """

    clip: str
    file_name: str
    text: str
    voice: str
    source: str
    start: float
    end: float
    seconds: float
    language: str
    licence: str
    similarity: float
    confidence: float
    dnsmos: float
    loudness: float
    written: str = ""
    text_from: str = "heard"
    snr: float | None = None
    bandwidth: float | None = None
    clipped: float | None = None
    rate: float | None = None
    disagreement: float | None = None


@dataclasses.dataclass(frozen=True)
class LedgerRow:
    """What became of [start, end) seconds of a source; ``reason`` is "" for kept seconds.

    ``clip`` names what was judged, kept or not; ``figures`` say what was measured of it before
    it was turned down.
    """

    start: float
    end: float
    kept: bool
    reason: str = ""
    clip: str = ""
    figures: dict[str, float] | None = None


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Write dataclass rows, one JSON object a line, atomically."""
    with files.atomic(path) as partial, partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(dataclasses.asdict(row), ensure_ascii=False) + "\n")


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Read rows of one kind; raises InputError with file and line when a row does not fit."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the stage that writes it first")
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append(kind(**json.loads(line)))
        except (json.JSONDecodeError, TypeError) as error:
            raise InputError(f"{path}:{number}: not a {kind.__name__} row ({error})") from None
    return rows


def spread(items: Sequence[Row], count: int) -> list[Row]:
    """``count`` of the items, evenly over all of them in their order."""
    if count >= len(items):
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]
