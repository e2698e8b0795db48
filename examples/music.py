"""A quiet tune from a note script: keys, bass, a few plucked notes, brushes.

The tune is eight bars of four beats, played round and round.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]

BEATS_PER_MINUTE = 84
BEATS_PER_BAR = 4
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class Bar(NamedTuple):
    """One bar: a bass note on beats one and three, a chord, eight eighths of melody."""

    bass: str
    chord: str
    melody: str


TUNE = (
    Bar("D2 A2", "F3 A3 C4 E4", ". . A4 . . C5 . ."),
    Bar("G2 D2", "F3 A3 B3 E4", ". . . . B4 . A4 ."),
    Bar("C2 G2", "E3 G3 B3 D4", "G4 . . . . E4 . ."),
    Bar("A2 E2", "E3 G3 A3 C4", ". . . . . . . ."),
    Bar("F2 C3", "E3 A3 C4 G4", ". . C5 . . D5 . E5"),
    Bar("B2 F2", "F3 A3 D4 E4", ". . . . D5 . . ."),
    Bar("E2 B2", "D3 G3 B3 E4", "B4 . . G4 . . . ."),
    Bar("A2 A2", "C#3 G3 B3 E4", ". . . . E4 . G4 ."),
)


def pitch(name: str) -> float:
    """Frequency in hertz of a note such as C#3; A4 is 440 Hz."""
    step = STEPS[name[0]] + ("#" in name)
    octave = int(name[-1])
    return float(440.0 * 2 ** ((step - STEPS["A"]) / 12 + octave - 4))


def envelope(seconds: float, fall: float, rate: int) -> tuple[Samples, Samples]:
    """The time line of a note, and its loudness: quick to rise, slow to fall."""
    time = np.arange(int(seconds * rate)) / rate
    release = np.clip((seconds - time) / 0.08, 0.0, 1.0)
    return time, np.minimum(time / 0.006, 1.0) * np.exp(-time / fall) * release


def keys(name: str, seconds: float, rate: int) -> Samples:
    """A soft electric piano: one sine bends another, less as the note fades."""
    time, loudness = envelope(seconds, 1.3, rate)
    phase = 2 * np.pi * pitch(name) * time
    return np.asarray(np.sin(phase + 1.1 * np.exp(-time / 0.35) * np.sin(phase)) * loudness)


def bass(name: str, seconds: float, rate: int) -> Samples:
    """A round bass: the note and a little of its octave."""
    time, loudness = envelope(seconds, 0.7, rate)
    phase = 2 * np.pi * pitch(name) * time
    return np.asarray((np.sin(phase) + 0.35 * np.sin(2 * phase)) * loudness)


def pluck(name: str, seconds: float, rate: int) -> Samples:
    """A plucked string: overtones that fade the sooner the higher they are."""
    time, loudness = envelope(seconds, 0.9, rate)
    tones = [
        np.sin(2 * np.pi * pitch(name) * order * time) * np.exp(-order * time / 0.5) / order
        for order in range(1, 6)
    ]
    return np.asarray(np.sum(tones, axis=0) * loudness)


def kick(rate: int) -> Samples:
    """A soft low drum, falling from 95 to 45 Hz."""
    time, loudness = envelope(0.3, 0.09, rate)
    return np.asarray(np.sin(2 * np.pi * (45 * time - 50 * 0.05 * np.exp(-time / 0.05))) * loudness)


def brush(seconds: float, rate: int, rng: np.random.Generator) -> Samples:
    """A brush on a drum: a short breath of high noise."""
    _, loudness = envelope(seconds, seconds / 3, rate)
    noise = rng.standard_normal(len(loudness))
    return np.asarray(np.diff(noise, prepend=0.0) * loudness)


def play(seconds: float, rate: int, rng: np.random.Generator) -> Samples:
    """The tune, repeated to fill the time, at a mean power of one."""
    beat = 60 / BEATS_PER_MINUTE
    sound = np.zeros(int(seconds * rate) + 4 * rate)

    def put(note: Samples, start: float, level: float) -> None:
        first = int(start * rate)
        if first < len(sound):
            part = note[: len(sound) - first]
            sound[first : first + len(part)] += level * part

    bar_seconds = BEATS_PER_BAR * beat
    for number in range(int(seconds / bar_seconds) + 1):
        bar = TUNE[number % len(TUNE)]
        start = number * bar_seconds
        for half, name in enumerate(bar.bass.split()):
            put(bass(name, 2 * beat, rate), start + 2 * half * beat, 0.55)
            put(kick(rate), start + 2 * half * beat, 0.45)
            put(brush(0.16, rate, rng), start + (2 * half + 1) * beat, 0.05)
        for name in bar.chord.split():
            strum = rng.uniform(0.0, 0.02)
            put(keys(name, 0.95 * bar_seconds, rate), start + strum, 0.22)
        for eighth, name in enumerate(bar.melody.split()):
            put(brush(0.06, rate, rng), start + eighth * beat / 2, 0.02)
            if name != ".":
                put(pluck(name, 2 * beat, rate), start + eighth * beat / 2, 0.2)
    sound = sound[: int(seconds * rate)]
    return np.asarray(sound / np.sqrt(np.mean(sound**2)))
