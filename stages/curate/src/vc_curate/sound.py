"""Where the sound is quiet: the envelope of a recording, and the pauses in it.

What counts as quiet follows the recording: it is told from the level of the speech around and
from the noise floor under it, never from an absolute level.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile

from vc_core import audio
from vc_core.audio import ENGINE_RATE
from vc_core.manifests import Segment, Word

Levels = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Span = tuple[float, float]

STEP = 0.005  # seconds between values of the envelope
SMOOTH = 5  # values that are averaged: 25 ms, a few periods of a voice
EMPHASIS = 0.9  # of the first difference: rumble counts less, fricatives more
NEIGHBOURHOOD = 10.0  # seconds around a moment whose speech and floor set what is quiet there
SPEECH_PERCENTILE, FLOOR_PERCENTILE = 90, 5
SHARE = 0.3  # of the way from the floor up to the speech, in dB: above it is sound
DEEPEST = 37.0  # dB under the speech: nothing that faint is heard as speech
LEAST_DEPTH = 6.0  # dB under the speech: a lesser dip is no pause
SHORTEST = 0.04  # seconds: shorter dips lie between the sounds of a word
CLEAR = 25.0  # dB of speech over the floor: in more noise than that, faint sounds drown
WORD_EDGE = 0.05  # seconds by which a word may be shorter than its times say
CLICK = 0.03  # seconds: shorter sounds do not end a pause


@dataclass(frozen=True)
class Pause:
    """A quiet stretch [start, end) seconds and its quietest moment."""

    start: float
    end: float
    lowest: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


class Envelope:
    """The level of a recording every 5 ms, dB, and whether it is quiet there."""

    def __init__(self, levels: Levels, speech: Sequence[Span], words: Sequence[Span] = ()) -> None:
        """``levels`` [n] as ``measure`` gives them; spans of the target and of its words, s.

        In noise the faint ends of words drown: there the words' times are believed, and a pause
        that goes beyond the target's speech does not reach back into it.
        """
        self.levels = levels
        spoken, said = _flags(speech, len(levels)), _flags(words, len(levels), WORD_EDGE)
        threshold, depth = _thresholds(levels, spoken)
        drowned = depth < CLEAR
        quiet = (levels < threshold) & ~(drowned & said)
        for first, last in _runs(quiet):
            inside = spoken[first:last]
            if not inside.all() and not (~inside).all():
                quiet[first:last] &= ~(inside & drowned[first:last])
        self.quiet = _without_clicks(quiet)

    def pauses(self, start: float, end: float) -> list[Pause]:
        """Quiet runs within [start, end) seconds, in order; the ends of the span cut them off."""
        first, last = self._clipped(start), self._clipped(end)
        return [
            self.pause((first + a) * STEP, (first + b) * STEP)
            for a, b in _runs(self.quiet[first:last])
            if b - a >= SHORTEST / STEP
        ]

    def lowest(self, start: float, end: float) -> float:
        """The quietest moment within [start, end) seconds; of equals the middle one."""
        first = self._clipped(start)
        part = self.levels[first : max(self._clipped(end), first + 1)]
        if not len(part):
            return start
        deepest = np.flatnonzero(part <= part.min() + 0.5)
        return (first + float(deepest[len(deepest) // 2]) + 0.5) * STEP

    def pause(self, start: float, end: float) -> Pause:
        """The pause [start, end), with its quietest moment: in its inner half, away from words."""
        inner = (end - start) / 4
        return Pause(start, end, self.lowest(start + inner, end - inner))

    def _clipped(self, seconds: float) -> int:
        return min(max(_index(seconds), 0), len(self.levels))


def envelope(
    file: soundfile.SoundFile, segments: Sequence[Segment], words: Sequence[Word]
) -> Envelope:
    """The envelope of an open recording, of which is known who speaks when and in which words."""
    spoken = [(row.start, row.end) for row in segments if row.label == "target"]
    return Envelope(measure(file), spoken, [(word.start, word.end) for word in words])


def measure(file: soundfile.SoundFile) -> Levels:
    """Level of an open recording every 5 ms, dB; it is read in blocks, never whole."""
    size = round(STEP * ENGINE_RATE)
    powers: list[npt.NDArray[np.float64]] = []
    rest = np.zeros(0, np.float32)
    last = np.float32(0)
    for block in audio.blocks(file, ENGINE_RATE):
        emphasised = block - EMPHASIS * np.concatenate([[last], block[:-1]]).astype(np.float32)
        last = block[-1]
        rest = np.concatenate([rest, emphasised])
        whole = len(rest) // size * size
        powers.append(np.square(rest[:whole].reshape(-1, size), dtype=np.float64).mean(axis=1))
        rest = rest[whole:]
    power = np.concatenate(powers) if powers else np.zeros(0)
    return _decibels(np.convolve(power, np.full(SMOOTH, 1 / SMOOTH), "same"))


def _decibels(power: npt.NDArray[np.float64]) -> Levels:
    return (10 * np.log10(np.maximum(power, 1e-12))).astype(np.float32)


def _thresholds(found: Levels, spoken: Flags) -> tuple[Levels, Levels]:
    """For each value, from its neighbourhood: the level under which it is quiet, and by how many
    dB the speech stands out of the noise."""
    every = round(1 / STEP)
    reach = round(NEIGHBOURHOOD / STEP)
    speech_level = _percentile(found[spoken], SPEECH_PERCENTILE, 0.0)
    centres = np.arange(0, len(found) + every, every)
    values, depths = [], []
    for centre in centres.tolist():
        here = slice(max(centre - reach, 0), centre + reach)
        around = found[here]
        speech = _percentile(around[spoken[here]], SPEECH_PERCENTILE, speech_level)
        floor = _percentile(around, FLOOR_PERCENTILE, speech - DEEPEST)
        wanted = floor + SHARE * (speech - floor)
        values.append(min(max(wanted, speech - DEEPEST), speech - LEAST_DEPTH))
        depths.append(speech - floor)
    at = np.arange(len(found))
    threshold, depth = (
        np.interp(at, centres, told).astype(np.float32) for told in (values, depths)
    )
    return threshold, depth


def _percentile(values: Levels, share: int, otherwise: float) -> float:
    return float(np.percentile(values, share)) if len(values) else otherwise


def _without_clicks(quiet: Flags) -> Flags:
    """Sounds shorter than a click within quiet are quiet, too."""
    out = quiet.copy()
    for first, last in _runs(~quiet):
        if last - first < CLICK / STEP and first > 0 and last < len(quiet):
            out[first:last] = True
    return out


def _runs(flags: Flags) -> list[tuple[int, int]]:
    """Runs of set flags: the first, and the one after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _flags(spans: Sequence[Span], count: int, less: float = 0.0) -> Flags:
    """The spans as flags, each shortened by ``less`` seconds at both ends."""
    flags = np.zeros(count, bool)
    for start, end in spans:
        flags[_index(start + less) : max(_index(end - less), 0)] = True
    return flags


def _index(seconds: float) -> int:
    return round(seconds / STEP)
