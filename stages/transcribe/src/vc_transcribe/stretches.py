"""Stretches of the target's speech, and the windows in which Whisper hears them.

Whisper hears the target alone: nobody else's words can reach the text. It always works on 30
seconds, so short stretches share a window, with a pause between them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vc_core.audio import ENGINE_RATE, Samples
from vc_core.manifests import Segment
from vc_transcribe.recording import Recording

LONGEST = 28.0  # seconds: Whisper hears 30
BRIDGED = 2.0  # seconds of pause within one stretch
PAD = 0.1  # seconds around a stretch, whoever is there: plosives begin before their energy
PAUSE = 0.25  # seconds around a stretch where nobody speaks
BETWEEN = 1.0  # seconds of silence between the stretches of a window; less costs words
QUIET_WITHIN = 8.0  # seconds before the limit in which too long speech is cut

PAUSES = ("silence", "music")  # labels of rows in which nobody speaks

Span = tuple[float, float]


@dataclass(frozen=True)
class Piece:
    """A stretch of target speech in [start, end) seconds, at ``offset`` seconds of its window."""

    number: int
    start: float
    end: float
    offset: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start

    @property
    def shift(self) -> float:
        """Seconds from the window's time to the recording's."""
        return self.start - self.offset


@dataclass(frozen=True)
class Window:
    """Pieces that are heard together, and their sound: 16 kHz mono, 30 s at most."""

    pieces: tuple[Piece, ...]
    samples: Samples

    @property
    def seconds(self) -> float:
        """Seconds of speech, without the silence between."""
        return sum(piece.seconds for piece in self.pieces)


def of_target(
    rows: Sequence[Segment], quietest: Callable[[float, float], float] | None = None
) -> list[Span]:
    """Spans of the target's speech, seconds; joined over pauses in which nobody else speaks.

    Speech without a pause in ``LONGEST`` seconds is cut where ``quietest``, a function of start
    and end, says; without one, into equal parts.
    """
    spans: list[Span] = []
    joinable = False
    for row in rows:
        if row.label == "target":
            last = spans[-1] if spans else None
            if (
                joinable
                and last
                and row.start - last[1] <= BRIDGED
                and row.end - last[0] <= LONGEST
            ):
                spans[-1] = (last[0], row.end)
            else:
                spans += _split(row.start, row.end, quietest)
            joinable = True
        elif row.label not in PAUSES:
            joinable = False
    return spans


def widened(spans: Sequence[Span], rows: Sequence[Segment], end: float) -> list[Span]:
    """The spans with some of the pause around them; ``end`` is that of the recording, seconds."""
    quiet = [row for row in rows if row.label in PAUSES]
    before = {round(row.end, 3): row.end - row.start for row in quiet}
    after = {round(row.start, 3): row.end - row.start for row in quiet}
    return [
        (
            max(0.0, start - max(PAD, min(PAUSE, before.get(round(start, 3), 0.0) / 2))),
            min(end, stop + max(PAD, min(PAUSE, after.get(round(stop, 3), 0.0) / 2))),
        )
        for start, stop in spans
    ]


def packed(spans: Sequence[Span]) -> list[list[Piece]]:
    """Neighbouring spans shared out into windows."""
    windows: list[list[Piece]] = []
    at = LONGEST
    for number, (start, stop) in enumerate(spans):
        if not windows or at + BETWEEN + stop - start > LONGEST + 2 * PAUSE:
            windows.append([])
            at = -BETWEEN
        windows[-1].append(Piece(number, start, stop, at + BETWEEN))
        at += BETWEEN + stop - start
    return windows


def window(recording: Recording, pieces: Sequence[Piece]) -> Window:
    """The sound of the pieces, laid out as their offsets say from the first one on."""
    first = pieces[0].offset
    moved = [Piece(p.number, p.start, p.end, p.offset - first) for p in pieces]
    parts: list[Samples] = []
    at = 0
    for piece in moved:
        begin = round(piece.offset * ENGINE_RATE)
        sound = recording.cut(piece.start, piece.end)
        parts += [np.zeros(max(0, begin - at), np.float32), sound]
        at = max(at, begin) + len(sound)
    return Window(tuple(moved), np.concatenate(parts))


def _split(
    start: float, end: float, quietest: Callable[[float, float], float] | None
) -> list[Span]:
    """A span longer than Whisper hears at once, in parts."""
    parts = max(1, -int(-(end - start) // LONGEST))
    if parts == 1 or quietest is None:
        size = (end - start) / parts
        return [(start + n * size, start + (n + 1) * size) for n in range(parts)]
    spans: list[Span] = []
    while end - start > LONGEST:
        limit = min(start + LONGEST, end - 1.0)
        cut = quietest(limit - QUIET_WITHIN, limit)
        spans.append((start, cut))
        start = cut
    return [*spans, (start, end)]
