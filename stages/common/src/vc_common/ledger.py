"""The ledger: rows that tile a source from 0 to its end, each kept or dropped for a reason."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from vc_common.manifests import LedgerRow

TOLERANCE = 1e-6  # seconds; times are rounded to microseconds


class Reason(StrEnum):
    """Why seconds of a source were not kept."""

    SILENCE = "silence"
    MUSIC = "music"
    OTHER_SPEAKER = "other_speaker"
    OVERLAP = "overlap"
    UNCERTAIN_SPEAKER = "uncertain_speaker"
    NO_WORDS = "no_words"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    LOW_SIMILARITY = "low_similarity"
    LOW_CONFIDENCE = "low_confidence"
    LOW_QUALITY = "low_quality"
    CLIPPED = "clipped"
    WRONG_LANGUAGE = "wrong_language"
    HALLUCINATION = "hallucination"
    DUPLICATE = "duplicate"


def tile(base: Sequence[LedgerRow], laid: Iterable[LedgerRow]) -> list[LedgerRow]:
    """Lay rows over a tiling, cutting what lies beneath; returns a tiling again.

    ``base`` tiles [0, duration); ``laid`` rows must not overlap each other. Neighbours that
    share fate, reason and clip are merged.
    """
    rows = list(base)
    for top in laid:
        under = []
        for row in rows:
            if row.end <= top.start or row.start >= top.end:
                under.append(row)
                continue
            if row.start < top.start:
                under.append(LedgerRow(row.start, top.start, row.kept, row.reason, row.clip))
            if row.end > top.end:
                under.append(LedgerRow(top.end, row.end, row.kept, row.reason, row.clip))
        rows = sorted([*under, top], key=lambda row: row.start)
    return _merged(rows)


def check(rows: Sequence[LedgerRow], duration: float) -> None:
    """Raise ValueError unless the rows tile [0, duration) without gap or overlap."""
    at = 0.0
    for row in rows:
        if abs(row.start - at) > TOLERANCE or row.end <= row.start:
            raise ValueError(f"ledger: row {row.start}-{row.end} does not follow {at}")
        at = row.end
    if abs(at - duration) > TOLERANCE:
        raise ValueError(f"ledger: ends at {at}, the source at {duration}")


def seconds_by_reason(rows: Iterable[LedgerRow]) -> dict[str, float]:
    """Seconds kept (under ``kept``) and dropped (under their reason), largest first."""
    sums: dict[str, float] = {}
    for row in rows:
        name = "kept" if row.kept else row.reason
        sums[name] = sums.get(name, 0.0) + row.end - row.start
    return {name: round(sums[name], 3) for name in sorted(sums, key=lambda key: -sums[key])}


def _merged(rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    merged: list[LedgerRow] = []
    for row in rows:
        last = merged[-1] if merged else None
        if last and (last.kept, last.reason, last.clip) == (row.kept, row.reason, row.clip):
            merged[-1] = LedgerRow(last.start, row.end, row.kept, row.reason, row.clip)
        else:
            merged.append(row)
    return merged
