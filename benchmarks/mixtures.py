"""Recordings with known truth, mixed from clean speech and music of our own making.

A folder for each condition: ``source.wav`` (44.1 kHz stereo, as vc-download leaves it),
``speech.flac`` (all voices as the microphone has them, without music and noise) and
``truth.json``. The same condition always makes the same recording. The target never says the same
twice; of each other speaker there is one clip of some 15 s, whose phrases come round again.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import sounds
import truth
import voices
from truth import Span, SpokenWord, Truth
from voices import RATE, TARGET, Piece

from vc_core.audio import Samples

REFERENCE_SECONDS = (10.0, 12.5)  # of a slice as users give it
PAUSE_IN_TURN = (0.15, 0.9)  # seconds
PAUSE_BETWEEN = (0.15, 1.0)
ASKED = 3.5  # seconds after which who asks the target begins nothing more
REACTIONS = 0.12  # share of prompts after which the other reacts
ROOM_TONE_DB = -62.0  # dBFS: no recording is digitally silent


@dataclass(frozen=True)
class Condition:
    """What a recording is like; levels in dB of speech over what disturbs it."""

    guests: int = 1
    overlap: float = 0.0  # share of the speech in which two speak
    music_db: float | None = None
    noise_db: float | None = None
    noise: str = "pink"  # or babble
    phone: str = ""  # who speaks through a telephone: all, or guests
    room: bool = False
    like: bool = False  # the guest is the stranger with the most like voice
    seconds: float = 150.0


CONDITIONS = {
    "monologue": Condition(guests=0, seconds=120),
    "interview": Condition(),
    "panel": Condition(guests=3, seconds=180),
    "music-10": Condition(music_db=10),
    "music-5": Condition(music_db=5),
    "music-0": Condition(music_db=0),
    "overlap-5": Condition(overlap=0.05),
    "overlap-10": Condition(overlap=0.10),
    "overlap-20": Condition(overlap=0.20),
    "phone-all": Condition(phone="all"),
    "phone-guests": Condition(phone="guests", guests=2),
    "room": Condition(room=True, guests=2),
    "noise-pink": Condition(noise_db=10),
    "noise-babble": Condition(noise_db=10, noise="babble"),
    "like-voice": Condition(like=True),
}


@dataclass(frozen=True)
class Said:
    """A piece that ``speaker`` says from ``start`` seconds on."""

    speaker: str
    start: float
    piece: Piece

    @property
    def end(self) -> float:
        """When it is over."""
        return self.start + self.piece.seconds

    def sounds(self) -> list[Span]:
        """Its sound, in seconds of the recording."""
        return [(self.start + a, self.start + b) for a, b in self.piece.sounds]


def make(name: str, folder: Path, speech: Path, cache: Path) -> Truth:
    """Write the recording of a condition into ``folder``, unless it lies there; its truth."""
    if (folder / "truth.json").is_file():
        return truth.read(folder / "truth.json")
    condition = CONDITIONS[name]
    seed = zlib.crc32(name.encode())
    rng = np.random.default_rng(seed)
    aligner = truth.Aligner(cache / "words.json")
    cast = {
        TARGET: voices.Target(speech / TARGET, aligner, rng),
        **_guests(condition, speech, cache, rng),
    }
    said, reference = _Talk(condition, cast, rng).talk()
    aligner.save()
    told = _truth(name, said, reference, condition)
    mix, clean = _sound(condition, told, said, speech, rng, seed)
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / "speech.flac", clean, RATE, subtype="PCM_16")
    soundfile.write(folder / "source.wav", mix, RATE, subtype="PCM_16")
    truth.write(folder / "truth.json", told)
    return told


def overlap_of(told: Truth) -> float:
    """Share of the speech in which the target and somebody else, or two others, speak."""
    speaking = np.sum([told.frames(spans) for spans in told.speech.values()], axis=0)
    return float((speaking > 1).sum() / max((speaking > 0).sum(), 1))


class _Talk:
    """A conversation in the making: who says what, when."""

    def __init__(
        self, condition: Condition, cast: dict[str, Any], rng: np.random.Generator
    ) -> None:
        self.condition, self.cast, self.rng = condition, cast, rng
        self.said: list[Said] = []
        self.clock = 0.8
        self.level = {name: rng.uniform(-3, 3) for name in cast}
        self.spoken = self.doubled = 0.0

    def talk(self) -> tuple[list[Said], Span]:
        """Everything said, and the slice for the reference: the target's first turn."""
        others = [name for name in self.cast if name != TARGET]
        if others:
            self.turn(others[0])
        first = len(self.said)
        self.clock += 0.5
        while (self.said[-1].end if len(self.said) > first else 0) - self.start(
            first
        ) < REFERENCE_SECONDS[0]:
            self.say(TARGET, self.cast[TARGET].prompt())
            self.clock += self.rng.uniform(0.15, 0.6)
        reference = (self.start(first) - 0.1, self.said[-1].end + 0.1)
        last = TARGET
        while self.clock < self.condition.seconds:
            choices = [name for name in self.cast if name != last] or [TARGET]
            share = [0.6 if name == TARGET else 0.4 / max(len(choices) - 1, 1) for name in choices]
            last = str(self.rng.choice(choices, p=np.array(share) / sum(share)))
            self.clock += self.rng.uniform(*PAUSE_BETWEEN)
            if self.wants_overlap() and self.said[-1].start > reference[1]:
                # The next turn begins before this one is over.
                self.clock = self.said[-1].end - min(
                    self.rng.uniform(0.4, 1.6), self.said[-1].piece.seconds / 2
                )
            self.turn(last)
        return sorted(self.said, key=lambda one: one.start), reference

    def start(self, number: int) -> float:
        """When the piece of that number began; now, if it is still to come."""
        return self.said[number].start if number < len(self.said) else self.clock

    def turn(self, speaker: str) -> None:
        """One to four prompts with pauses, and now and then a reaction of somebody else."""
        others = [name for name in self.cast if name != speaker]
        prompts = int(self.rng.integers(1, 5))
        begun = self.clock
        for number in range(prompts):
            if speaker != TARGET and self.clock - begun > ASKED:
                return
            if number:
                self.clock += self.rng.uniform(*PAUSE_IN_TURN)
            prompt = self.say(speaker, self.cast[speaker].prompt())
            if not others:
                continue
            other = str(self.rng.choice(others))
            if self.wants_overlap() and prompt.piece.seconds > 1.5:
                reaction = self.cast[other].reaction(1.6)
                room = max(prompt.piece.seconds - reaction.seconds, 0.1)
                self.add(
                    Said(
                        other, prompt.start + self.rng.uniform(0, room), self.tuned(other, reaction)
                    )
                )
            elif self.rng.random() < REACTIONS:
                self.clock += self.rng.uniform(0.1, 0.3)
                self.say(other, self.cast[other].reaction())

    def wants_overlap(self) -> bool:
        """Whether two spoke at once less often than they should have by now."""
        told: dict[str, list[Span]] = {}
        for one in self.said:
            told.setdefault(one.speaker, []).extend(one.sounds())
        speaking = np.sum([self.frames(spans) for spans in told.values()], axis=0)
        return bool((speaking > 1).sum() < self.condition.overlap * (speaking > 0).sum())

    def frames(self, spans: list[Span]) -> truth.Mask:
        """Spans as flags over all that was said so far."""
        flags = np.zeros(round((self.clock + 30) / truth.STEP), bool)
        for start, end in spans:
            flags[round(start / truth.STEP) : round(end / truth.STEP)] = True
        return flags

    def say(self, speaker: str, piece: Piece) -> Said:
        """Say it now; the clock stands at its end."""
        one = self.add(Said(speaker, round(self.clock * RATE) / RATE, self.tuned(speaker, piece)))
        self.clock = one.end
        return one

    def add(self, one: Said) -> Said:
        """Take a piece up."""
        self.said.append(one)
        return one

    def tuned(self, speaker: str, piece: Piece) -> Piece:
        """The piece as loud as its speaker is, give or take a decibel."""
        gain = 10 ** ((self.level[speaker] + self.rng.uniform(-1, 1)) / 20)
        return Piece(piece.samples * np.float32(gain), piece.words, piece.sounds)


def _guests(
    condition: Condition, speech: Path, cache: Path, rng: np.random.Generator
) -> dict[str, Any]:
    if condition.like:
        found = [voices.Guest(voices.most_alike(speech, cache / "alike.json"))]
    else:
        found = voices.guests(speech / "librispeech", condition.guests, rng)
    return {guest.name: guest for guest in found}


def _truth(name: str, said: Sequence[Said], reference: Span, condition: Condition) -> Truth:
    seconds = max(one.end for one in said) + 0.8
    speech: dict[str, list[Span]] = {}
    words: list[SpokenWord] = []
    for one in said:
        speech.setdefault(one.speaker, []).extend(one.sounds())
        words += [
            SpokenWord(one.start + w.start, one.start + w.end, w.word) for w in one.piece.words
        ]
    music = [(0.0, reference[0] - 0.1), (reference[1] + 0.1, seconds)]
    return Truth(
        name,
        seconds,
        TARGET,
        (round(reference[0], 2), round(reference[1], 2)),
        sorted(words, key=lambda word: word.start),
        {who: truth.merged(spans, truth.CLOSURE) for who, spans in speech.items()},
        music if condition.music_db is not None else [],
    )


def _sound(
    condition: Condition,
    told: Truth,
    said: Sequence[Said],
    speech: Path,
    rng: np.random.Generator,
    seed: int,
) -> tuple[Samples, Samples]:
    """The mix [frames, 2], and the voices alone [frames]."""
    length = round(told.seconds * RATE)
    tracks: dict[str, Samples] = {}
    for one in said:
        track = tracks.setdefault(one.speaker, np.zeros(length, np.float32))
        first = round(one.start * RATE)
        track[first : first + len(one.piece.samples)] += one.piece.samples
    for place, who in enumerate(sorted(tracks, key=lambda who: who != TARGET)):
        if condition.room:
            tracks[who] = sounds.in_room(tracks[who], sounds.SEATS[place])
        if condition.phone == "all" or (condition.phone and who != TARGET):
            tracks[who] = sounds.by_phone(tracks[who])
    clean = sum(tracks.values(), np.zeros(length, np.float32))
    mix = np.repeat(clean[:, None], 2, axis=1) + sounds.pink((length, 2), rng, ROOM_TONE_DB)
    if condition.music_db is not None:
        mix += sounds.music(told.music, length, seed, voices.level_db(clean) - condition.music_db)
    if condition.noise_db is not None:
        level = voices.level_db(clean) - condition.noise_db
        mix += (
            sounds.babble(speech / "librispeech", length, rng, level)[:, None]
            if condition.noise == "babble"
            else sounds.pink((length, 1), rng, level)
        )
    gain = np.float32(min(1.0, 0.95 / float(np.abs(mix).max())))
    return mix * gain, clean * gain
