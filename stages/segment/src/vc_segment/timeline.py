"""From decided pieces to rows that tile the recording."""

from collections.abc import Sequence

import numpy as np

from vc_core.manifests import Segment
from vc_segment.target import Named
from vc_speech.diarization.activity import Heard, Shares, flagged_runs
from vc_speech.overlap import STEP

MUSIC_DB = -50.0  # dBFS of what separation took away, above which a pause is music


def rows(
    duration: float,
    removed: Shares | None,
    heard: Heard,
    named: Sequence[Named],
    min_margin: float,
) -> list[Segment]:
    """Rows tiling [0, ``duration``) seconds: labels, and for voices similarity and margin.

    ``removed`` [frames] is the power of what separation took away, or None when unknown.
    """
    covered = heard.overlap.copy()
    for piece in named:
        covered[piece.first : piece.last] = True
    spoken = [_spoken_row(piece, min_margin) for piece in named]
    double = [_row(a, b, "overlap") for a, b in flagged_runs(heard.overlap)]
    quiet = [_row(a, b, _quiet_label(a, b, removed)) for a, b in flagged_runs(~covered)]
    return _closed(sorted([*spoken, *double, *quiet], key=lambda row: row.start), duration)


def seconds_by_label(made: Sequence[Segment]) -> dict[str, float]:
    """Seconds of each label."""
    sums: dict[str, float] = {}
    for row in made:
        sums[row.label] = sums.get(row.label, 0.0) + row.end - row.start
    return {name: round(value, 3) for name, value in sorted(sums.items())}


def _spoken_row(piece: Named, min_margin: float) -> Segment:
    label = "uncertain"
    if piece.margin >= min_margin:
        label = "target"
    elif piece.margin <= -min_margin:
        label = "other"
    return Segment(
        piece.first * STEP,
        piece.last * STEP,
        label,
        str(piece.person) if piece.person >= 0 else "",
        round(piece.similarity, 4),
        round(piece.margin, 4),
    )


def _quiet_label(first: int, last: int, removed: Shares | None) -> str:
    """Pauses in which separation took something loud away are music, not silence."""
    if removed is None:
        return "silence"
    power = float(removed[first:last].mean()) if last > first else 0.0
    return "music" if 10 * np.log10(max(power, 1e-12)) > MUSIC_DB else "silence"


def _row(first: int, last: int, label: str) -> Segment:
    return Segment(first * STEP, last * STEP, label)


def _closed(made: Sequence[Segment], duration: float) -> list[Segment]:
    """Rows with times rounded to microseconds that meet exactly and end at the end."""
    edges = [0.0, *(round(row.start, 6) for row in made[1:]), round(duration, 6)]
    return [
        Segment(a, b, row.label, row.speaker, row.similarity, row.margin)
        for row, a, b in zip(made, edges, edges[1:], strict=False)
        if b > a
    ]
