"""The ledger: rows that tile a source from 0 to its end, each kept or dropped for a reason."""

import dataclasses
from collections.abc import Iterable, Sequence
from enum import StrEnum

from vc_core.manifests import LedgerRow

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
    LOW_SNR = "low_snr"
    LOW_BANDWIDTH = "low_bandwidth"
    CLIPPED = "clipped"
    WRONG_LANGUAGE = "wrong_language"
    HALLUCINATION = "hallucination"
    CAPTIONS_DIFFER = "captions_differ"
    RATE_OUTLIER = "rate_outlier"
    DUPLICATE = "duplicate"
    BY_HAND = "by_hand"


def tile(base: Sequence[LedgerRow], laid: Iterable[LedgerRow]) -> list[LedgerRow]:
    """Lay rows over a tiling, cutting what lies beneath; returns a tiling again.

    ``base`` tiles [0, duration); ``laid`` rows lie within it and do not overlap each other
    (ValueError). Times are rounded to microseconds. Neighbours that share fate, reason and clip
    are merged. The work grows with the number of rows, not with its square.
    """
    tops = sorted((_rounded(row) for row in laid), key=lambda row: row.start)
    rows: list[LedgerRow] = []
    end = round(base[-1].end, 6) if base else 0.0
    below = iter([_rounded(row) for row in base])
    under = next(below, None)
    for top in tops:
        if top.end > end or (rows and rows[-1].end > top.start):
            raise ValueError(f"ledger: row {top.start}-{top.end} overlaps another, or the end")
        while under is not None and under.end <= top.start:
            rows.append(under)
            under = next(below, None)
        if under is not None and under.start < top.start:
            rows.append(dataclasses.replace(under, end=top.start))
        rows.append(top)
        while under is not None and under.end <= top.end:
            under = next(below, None)
        if under is not None and under.start < top.end:
            under = dataclasses.replace(under, start=top.end)
    rows += [*([under] if under else []), *below]
    return _merged([row for row in rows if row.end > row.start])


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


def _rounded(row: LedgerRow) -> LedgerRow:
    return dataclasses.replace(row, start=round(row.start, 6), end=round(row.end, 6))


def _merged(rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    merged: list[LedgerRow] = []
    for row in rows:
        last = merged[-1] if merged else None
        if last and dataclasses.replace(row, start=last.start, end=last.end) == last:
            merged[-1] = dataclasses.replace(last, end=row.end)
        else:
            merged.append(row)
    return merged
