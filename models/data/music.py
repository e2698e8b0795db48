"""Music, rooms and noise of our own making, the same for the same seed.

    render(seconds, seed, rate)   float32 [2, samples], a tune in one of six styles
    reverb(samples, seed, rate)   the samples in a room, same shape
    noise(seconds, seed, rate)    float32 [2, samples], coloured noise that breathes
    babble(voices, seed)          float32 [samples], many voices at once

Everything it returns has a mean power of -20 dB, and peaks below full scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Wave = npt.NDArray[np.float64]
Samples = npt.NDArray[np.float32]

LEVEL_DB = -20.0
PEAK = 0.98
BEATS = 4  # to a bar

# Chords as steps of a scale of seven, a bar each.
PROGRESSIONS = (
    (0, 4, 5, 3),
    (0, 5, 3, 4),
    (5, 3, 0, 4),
    (0, 3, 0, 4),
    (1, 4, 0, 0),
    (0, 0, 3, 0, 4, 3, 0, 4),
    (0, 6, 5, 4),
    (0, 2, 3, 4),
)
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
HITS = {"kick": "x...x...x...x...", "snare": "....x.......x...", "hat": "x.x.x.x.x.x.x.x."}


@dataclass(frozen=True)
class Style:
    """How a tune is played: tempo in beats/minute, who plays, and a drum pattern's sixteenths."""

    tempo: tuple[float, float]
    chords: str
    lead: str
    drums: dict[str, str]
    strum: bool = False


STYLES = (
    Style((60, 85), "pad", "bell", {}),
    Style((100, 130), "saw", "square", HITS),
    Style((80, 110), "pluck", "pluck", {"hat": "..x...x...x...x."}, strum=True),
    Style((70, 95), "keys", "keys", {"kick": "x.....x...x.....", "snare": "....x.......x..x"}),
    Style((120, 150), "organ", "saw", {**HITS, "snare": "....x..x.x..x..x"}),
    Style((85, 115), "keys", "bell", {"kick": "x..x..x.x..x..x.", "hat": "x.xxx.xxx.xxx.xx"}),
)


def render(seconds: float, seed: int, rate: int) -> Samples:
    """A tune of ``seconds``: chords, bass, melody and drums in a room, [2, samples]."""
    rng = np.random.default_rng(seed)
    style = STYLES[rng.integers(len(STYLES))]
    beat = 60 / rng.uniform(*style.tempo)
    scale = list(SCALES.values())[rng.integers(len(SCALES))]
    root = rng.uniform(45, 57)  # MIDI; not in tune with anything, as old tapes are
    progression = PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
    track = np.zeros((2, round(seconds * rate)))
    # A tune may be cut out of the middle of a bar.
    start = -rng.uniform(0, BEATS * beat)
    parts = _Parts(track, rate, rng, style, beat)
    bar = 0
    while start < seconds:
        parts.bar(
            start, [root + _step(scale, progression[bar % len(progression)] + n) for n in STACK]
        )
        start += BEATS * beat
        bar += 1
    return levelled(reverb(track.astype(np.float32), int(rng.integers(2**31)), rate))


STACK = (0, 2, 4, 6, 7, 8, 9)  # chord tones first, then what melodies pass through


def _step(scale: Sequence[int], step: int) -> int:
    """Semitones above the root of a step of the scale."""
    return 12 * (step // 7) + scale[step % 7]


class _Parts:
    """The players of a tune, who write onto a stereo track [2, samples]."""

    def __init__(
        self, track: Wave, rate: int, rng: np.random.Generator, style: Style, beat: float
    ) -> None:
        self.track, self.rate, self.rng, self.style, self.beat = track, rate, rng, style, beat
        self.levels = dict(zip(("chords", "bass", "lead"), rng.uniform(0.4, 1.0, 3), strict=True))
        self.places = dict(zip(("chords", "lead"), rng.uniform(0.25, 0.75, 2), strict=True))
        self.drum_level = rng.uniform(0.4, 1.1)
        self.kit = {name: DRUMS[name](rate, rng) for name in style.drums}
        # Some tunes leave a player out.
        self.silent = {str(name) for name in rng.choice(["bass", "lead", "-", "-", "-"], 1)}

    def bar(self, start: float, notes: list[float]) -> None:
        """Play a bar at ``start`` seconds on a chord and the notes around it (MIDI)."""
        self.chords(start, notes)
        if "bass" not in self.silent:
            for beat in (0, 2) if self.rng.random() < 0.6 else range(BEATS):
                note = notes[0 if beat % 4 == 0 else 2] - 12
                self.put(
                    tone("bass", note, self.beat, self.rate),
                    start + beat * self.beat,
                    0.8 * self.levels["bass"],
                    0.5,
                )
        if "lead" not in self.silent:
            self.lead(start, notes)
        for name, pattern in self.style.drums.items():
            for sixteenth, mark in enumerate(pattern):
                if mark == "x":
                    level = self.drum_level * self.rng.uniform(0.7, 1.0)
                    self.put(self.kit[name], start + sixteenth * self.beat / 4, level, 0.5)

    def chords(self, start: float, notes: list[float]) -> None:
        """A held chord, or one struck on every beat."""
        strikes = BEATS if self.style.strum else 1
        length = BEATS * self.beat / strikes
        for strike in range(strikes):
            for order, note in enumerate(notes[:4]):
                sound = tone(self.style.chords, note + 12, 1.1 * length, self.rate)
                at = start + strike * length + 0.012 * order
                self.put(sound, at, 0.35 * self.levels["chords"], self.places["chords"])

    def lead(self, start: float, notes: list[float]) -> None:
        """A melody in eighths with rests, on chord tones more often than not."""
        for eighth in range(2 * BEATS):
            if self.rng.random() < 0.5:
                note = notes[min(int(self.rng.exponential(2.0)), len(notes) - 1)] + 24
                length = self.beat * self.rng.choice([0.5, 0.5, 1.0])
                sound = tone(self.style.lead, note, length, self.rate)
                at = start + eighth * self.beat / 2
                self.put(sound, at, 0.5 * self.levels["lead"], self.places["lead"])

    def put(self, sound: Wave, start: float, level: float, place: float) -> None:
        """Add a sound [samples] to the track, ``place`` 0 for left to 1 for right."""
        first = round(start * self.rate)
        sound = sound[max(0, -first) :]
        first = max(0, first)
        sound = level * sound[: max(0, self.track.shape[1] - first)]
        self.track[0, first : first + len(sound)] += np.sqrt(1 - place) * sound
        self.track[1, first : first + len(sound)] += np.sqrt(place) * sound


# Strengths of the overtones of each instrument, and how fast it fades, in seconds.
TIMBRES: dict[str, tuple[tuple[float, ...], float]] = {
    "pad": ((1, 0.5, 0.3, 0.15, 0.1), 4.0),
    "saw": (tuple(1 / n for n in range(1, 13)), 1.5),
    "square": (tuple(n % 2 / n for n in range(1, 14)), 0.8),
    "organ": ((1, 0.8, 0, 0.5, 0, 0, 0, 0.3), 9.0),
    "keys": ((1, 0.3, 0.05, 0.15, 0.02), 0.9),
    "pluck": ((1, 0.7, 0.5, 0.35, 0.2, 0.12, 0.08), 0.35),
    "bell": ((1, 0, 0.4, 0, 0.25, 0, 0.2), 1.2),
    "bass": ((1, 0.5, 0.25, 0.1), 0.6),
}


def tone(timbre: str, note: float, seconds: float, rate: int) -> Wave:
    """A note (MIDI) of an instrument, [samples]."""
    strengths, fade = TIMBRES[timbre]
    hertz = 440.0 * 2 ** ((note - 69) / 12)
    time = np.arange(round(seconds * rate)) / rate
    attack = 0.25 if timbre == "pad" else 0.008
    shape = np.minimum(time / attack, 1) * np.clip((seconds - time) / 0.05, 0, 1)
    vibrato = 0.1 * np.sin(2 * np.pi * 5.1 * time) * np.minimum(time, 1)
    turn = np.exp(1j * (2 * np.pi * hertz * time + vibrato))
    sound, power = np.zeros(len(time)), np.ones_like(turn)
    decay, fading = np.exp(-time / fade), np.ones_like(time)
    soften = np.exp(-0.3 * time / fade)
    for order, strength in enumerate(strengths, start=1):
        if order * hertz > 0.45 * rate:
            break
        # Powers of one turning pointer are the overtones: no sine is computed twice.
        power *= turn
        fading *= soften
        sound += strength * power.imag * fading
    return np.asarray(sound * shape * decay / sum(strengths))


def _time(seconds: float, rate: int) -> Wave:
    return np.arange(round(seconds * rate)) / rate


def _kick(rate: int, rng: np.random.Generator) -> Wave:
    time = _time(0.35, rate)
    low, fall = rng.uniform(40, 60), rng.uniform(0.03, 0.06)
    phase = low * time - 90 * fall * np.exp(-time / fall)
    return np.sin(2 * np.pi * phase) * np.exp(-time / 0.1)


def _snare(rate: int, rng: np.random.Generator) -> Wave:
    time = _time(0.22, rate)
    body = np.sin(2 * np.pi * rng.uniform(160, 220) * time) * np.exp(-time / 0.05)
    return 0.5 * body + 0.35 * rng.standard_normal(len(time)) * np.exp(-time / 0.07)


def _hat(rate: int, rng: np.random.Generator) -> Wave:
    time = _time(0.09, rate)
    hiss = np.diff(rng.standard_normal(len(time) + 1))
    return 0.2 * hiss * np.exp(-time / rng.uniform(0.012, 0.04))


DRUMS: dict[str, Callable[[int, np.random.Generator], Wave]] = {
    "kick": _kick,
    "snare": _snare,
    "hat": _hat,
}


def reverb(samples: Samples, seed: int, rate: int) -> Samples:
    """``samples`` [..., samples] in a room drawn by ``seed``, as long and as loud as they were.

    The room is sparse early echoes and a tail of noise whose high parts fade sooner. The last
    axis is time; two channels hear different echoes.
    """
    rng = np.random.default_rng(seed)
    decay, wet = rng.uniform(0.15, 0.9), rng.uniform(0.05, 0.5)
    lead = round(rng.uniform(0.002, 0.02) * rate)
    length = round(decay * rate)
    time = np.arange(length) / rate
    wanted = samples.reshape(-1, samples.shape[-1]).astype(np.float64)
    out = np.empty_like(wanted)
    for channel, dry in enumerate(wanted):
        bright, dull = rng.standard_normal((2, length))
        dull = np.convolve(dull, np.hanning(9) / 4, mode="same")
        tail = bright * np.exp(-13.8 * time / decay) + dull * np.exp(-6.9 * time / decay)
        tail[rng.integers(0, min(length, rate // 20), 8)] += rng.uniform(-4, 4, 8)
        room = np.zeros(lead + length)
        room[lead:] = tail * np.sqrt(wet / np.sum(tail**2))
        room[0] += np.sqrt(1 - wet)
        out[channel] = _convolved(dry, room)
    power = np.sqrt(np.mean(wanted**2) / max(float(np.mean(out**2)), 1e-12))
    return np.asarray(power * out.reshape(samples.shape), dtype=np.float32)


def _convolved(dry: Wave, room: Wave) -> Wave:
    """The first len(dry) samples of the convolution."""
    size = 1 << (len(dry) + len(room) - 2).bit_length()
    spectrum = np.fft.rfft(dry, size) * np.fft.rfft(room, size)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(dry)])


def noise(seconds: float, seed: int, rate: int) -> Samples:
    """Noise from brown to blue, with a hum in one of four, that swells and fades, [2, samples]."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    hertz = np.maximum(np.fft.rfftfreq(count, 1 / rate), 20.0)
    colour = hertz ** -rng.uniform(-0.3, 1.0)
    both = np.fft.irfft(np.fft.rfft(rng.standard_normal((2, count))) * colour, count)
    knots = rng.uniform(-6.0, 6.0, max(2, round(seconds) + 1))
    swell = np.interp(np.arange(count) / count, np.linspace(0, 1, len(knots)), knots)
    both *= 10 ** (swell / 20) / np.sqrt(np.mean(both**2))
    if rng.random() < 0.25:
        mains = rng.choice([50.0, 60.0]) * np.arange(count) / rate
        both += 0.5 * sum(np.sin(2 * np.pi * order * mains) / order for order in (1, 2, 3, 5))
    return levelled(both.astype(np.float32))


def babble(voices: Sequence[Samples], seed: int) -> Samples:
    """Voices [samples] on top of each other, each turned round to begin somewhere else.

    As long as the longest of them; the others go round and round.
    """
    rng = np.random.default_rng(seed)
    count = max(len(voice) for voice in voices)
    mix = np.zeros(count)
    for voice in voices:
        level = rng.uniform(0.4, 1.0) / max(float(np.sqrt(np.mean(voice**2))), 1e-4)
        mix += level * np.resize(np.roll(voice, int(rng.integers(len(voice)))), count)
    return levelled(mix.astype(np.float32))


def levelled(samples: Samples) -> Samples:
    """At the common level, or as near to it as the peaks allow; silence stays silent."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0:
        return samples
    return np.asarray(samples * min(10 ** (LEVEL_DB / 20) / power**0.5, PEAK / peak), np.float32)
