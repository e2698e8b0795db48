"""What people say of the clips: other texts, keep or drop. From a table of their own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vc_core import log, tables
from vc_core.errors import InputError

COLUMNS = ("clip", "text", "keep")
MOVED = 0.3  # seconds by which a clip's start may have moved since it was corrected
KEEP = {"": None, "yes": True, "no": False}

logger = log.get("curate")


@dataclass(frozen=True)
class Correction:
    """One row: of which clip, its right text ("" where it stays), kept, dropped or as judged."""

    clip: str
    text: str
    keep: bool | None

    @property
    def source(self) -> str:
        """The source that the clip was cut from."""
        return self.clip.rpartition("-")[0]

    @property
    def start(self) -> float:
        """Where in the source the clip began, seconds."""
        return int(self.clip.rpartition("-")[2]) / 1000


def clip_name(source: str, start: float) -> str:
    """Name of a clip, stable under changes elsewhere in the recording: its start in ms."""
    return f"{source}-{round(start * 1000):08d}"


def read(path: Path) -> list[Correction]:
    """Rows of a table of tab-separated values; raises InputError with the line that is wrong."""
    found: dict[str, Correction] = {}
    for row in tables.read(path, COLUMNS, COLUMNS):
        clip, text, keep = (row.cells[name] for name in COLUMNS)
        if not clip.rpartition("-")[0] or not clip.rpartition("-")[2].isdecimal():
            raise InputError(f"{row.place}: {clip!r} is no clip; copy the name from metadata.jsonl")
        if keep.lower() not in KEEP:
            raise InputError(f"{row.place}: keep is {keep!r}; write yes, no or nothing")
        if clip in found:
            raise InputError(f"{row.place}: clip {clip!r} is there twice; leave one row")
        found[clip] = Correction(clip, " ".join(text.split()), KEEP[keep.lower()])
    return list(found.values())


def match(
    corrections: Sequence[Correction], source: str, starts: Sequence[float]
) -> dict[int, Correction]:
    """The correction of each candidate of this source, by the candidate's number.

    Names match exactly, or else the nearest start within 0.3 s that no other row names. A row
    that matches nothing is warned about; rows of other sources are passed over.
    """
    mine = [row for row in corrections if row.source == source]
    names = {clip_name(source, start): number for number, start in enumerate(starts)}
    matched = {names[row.clip]: row for row in mine if row.clip in names}
    moved = [row for row in mine if row.clip not in names]
    pairs = sorted(
        (abs(start - row.start), number, order)
        for order, row in enumerate(moved)
        for number, start in enumerate(starts)
        if abs(start - row.start) <= MOVED
    )
    placed: set[int] = set()
    for _, number, order in pairs:
        if number not in matched and order not in placed:
            matched[number] = moved[order]
            placed.add(order)
    for order, row in enumerate(moved):
        if order not in placed:
            logger.warning(
                "corrections: %s matches no clip of this run within %.1f s", row.clip, MOVED
            )
    return matched
