"""From named pieces to rows that tile the recording."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from vc_common.audio import ENGINE_RATE, Samples, rms_db
from vc_common.manifests import Segment
from vc_segment.activity import STEP, Heard, flagged_runs, to_frame
from vc_segment.diarize import Piece, Voices

BRIDGE = 0.3  # seconds: a short piece that is nobody's goes to a neighbour this near
MUSIC_DB = -50.0  # dBFS of what separation took away, above which a pause is music


def rows(
    duration: float,
    removed: Samples | None,
    heard: Heard,
    voices: Voices,
    min_margin: float,
) -> list[Segment]:
    """Rows tiling [0, ``duration``) seconds: labels, and for voices similarity and margin.

    ``removed`` is what separation took away, at 16 kHz, or None when unknown.
    """
    named = _adopt(voices.pieces)
    spoken = [_spoken_row(piece, voices.target, min_margin) for piece in named]
    covered = np.zeros(len(heard.speech), bool)
    for piece in named:
        covered[piece.first : piece.last] = True
    double = [_row(a, b, "overlap") for a, b in flagged_runs(heard.overlap & ~covered)]
    covered |= heard.overlap
    quiet = [_row(a, b, _quiet_label(a, b, removed)) for a, b in flagged_runs(~covered)]
    ordered = sorted([*spoken, *double, *quiet], key=lambda row: row.start)
    return _closed(ordered, duration)


def seconds_by_label(made: Sequence[Segment]) -> dict[str, float]:
    """Seconds of each label."""
    sums: dict[str, float] = {}
    for row in made:
        sums[row.label] = sums.get(row.label, 0.0) + row.end - row.start
    return {name: round(value, 3) for name, value in sorted(sums.items())}


def _adopt(pieces: Sequence[Piece]) -> list[Piece]:
    """Give pieces too short to tell to the one person who speaks just before or after them."""
    out = []
    for number, piece in enumerate(pieces):
        near = [
            other
            for n in (number - 1, number + 1)
            if 0 <= n < len(pieces)
            for other in [pieces[n]]
            if other.person >= 0
            and max(piece.first - other.last, other.first - piece.last) <= to_frame(BRIDGE)
        ]
        if piece.person < 0 and len({other.person for other in near}) == 1:
            # The adopted piece takes its neighbour's figures.
            out.append(dataclasses.replace(near[0], first=piece.first, last=piece.last))
        else:
            out.append(piece)
    return out


def _spoken_row(piece: Piece, target: int, min_margin: float) -> Segment:
    if piece.person < 0:
        return _row(piece.first, piece.last, "uncertain")
    label = "other"
    if piece.person == target:
        label = "target" if piece.margin >= min_margin else "uncertain"
    return Segment(
        piece.first * STEP,
        piece.last * STEP,
        label,
        str(piece.person),
        round(piece.similarity, 4),
        round(piece.margin, 4),
    )


def _quiet_label(first: int, last: int, removed: Samples | None) -> str:
    """Pauses in which separation took something loud away are music, not silence."""
    if removed is None:
        return "silence"
    cut = removed[round(first * STEP * ENGINE_RATE) : round(last * STEP * ENGINE_RATE)]
    return "music" if cut.size and rms_db(cut) > MUSIC_DB else "silence"


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
