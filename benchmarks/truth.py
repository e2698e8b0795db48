"""What is true of a mixture: who speaks when, which words, found out on the clean recordings.

Word times come from forced alignment (pocketsphinx) of each clean prompt with its text. The
aligner knows words to about 30 ms; where a word borders on a real pause its edge is moved to where
the sound begins or ends. Of the others, whose texts are not known, the spans with sound count.
"""

import dataclasses
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pocketsphinx

from vc_core import audio, files
from vc_core.audio import ENGINE_RATE, Samples
from vc_speech.text import comparable

Span = tuple[float, float]
Mask = npt.NDArray[np.bool_]

STEP = 0.01  # seconds between the frames in which truth is counted
HOP = 0.005  # seconds between the frames in which energy is measured
# Sound is this far above the floor and no further below the peak; that far below it, it is sound.
ABOVE_FLOOR_DB, BELOW_PEAK_DB, QUIETEST_DB = 9.0, 38.0, 28.0
CLOSURE = 0.1  # seconds: shorter silence is a stop consonant's, not a pause
CLICK, BREATH = 0.03, 0.1  # seconds up to which a sound is a click, or alone at first a breath
SNAP = 0.12  # seconds by which an edge may lie from the pause that it is moved to
LOST = 0.2  # seconds between first word and first sound from which an alignment is wrong
LEAD = 0.2  # seconds of silence that the aligner is given at both ends
# Spoken otherwise than written, or written otherwise today.
NOT_ALIGNABLE = re.compile(r"\d|\betc\b|\b(any|every|some) one\b|cocoanut|\bto-", re.I)


@dataclass(frozen=True)
class SpokenWord:
    """A word of the target in [start, end) seconds."""

    start: float
    end: float
    word: str


@dataclass(frozen=True)
class Truth:
    """What is known of a recording; times in seconds.

    ``speech`` holds each speaker's spans of sound, pauses below 0.1 s bridged; ``words`` are the
    target's; ``reference`` is the slice in which the target speaks alone that a user would name.
    """

    name: str
    seconds: float
    target: str
    reference: Span
    words: list[SpokenWord]
    speech: dict[str, list[Span]]
    music: list[Span]

    def alone(self, bridge: float = 0.3) -> Mask:
        """Frames of the target's words and the pauses up to ``bridge`` between them, no one else.

        The reference slice is left out: what a user points at is no achievement to find.
        """
        spans = merged([(word.start, word.end) for word in self.words], bridge)
        return self.frames(spans) & ~self.others() & ~self.frames([self.reference])

    def reachable(self, pause: float = 0.12) -> Mask:
        """Those frames of ``alone`` that clips can hold which begin and end in pauses.

        Between an overlap and the next pause the target is alone, yet no clip can begin there.
        """
        runs = merged([(word.start, word.end) for word in self.words], pause)
        free = [run for run in runs if not (self.frames([run]) & self.others()).any()]
        return self.alone() & self.frames(merged(free, 0.3))

    def others(self) -> Mask:
        """Frames in which anybody but the target makes a sound."""
        return self.frames([s for name, v in self.speech.items() if name != self.target for s in v])

    def frames(self, spans: list[Span]) -> Mask:
        """The spans as flags, one for every ``STEP`` of the recording."""
        flags = np.zeros(int(np.ceil(self.seconds / STEP)), bool)
        for start, end in spans:
            flags[max(0, round(start / STEP)) : max(0, round(end / STEP))] = True
        return flags


def read(path: Path) -> Truth:
    """The truth of a recording, from the JSON that ``write`` made."""
    told: dict[str, Any] = files.read_json(path)
    told["words"] = [SpokenWord(*word) for word in told["words"]]
    told["speech"] = {name: [(a, b) for a, b in spans] for name, spans in told["speech"].items()}
    told["music"] = [(a, b) for a, b in told["music"]]
    told["reference"] = (told["reference"][0], told["reference"][1])
    return Truth(**told)


def write(path: Path, truth: Truth) -> None:
    """Write a truth as JSON, a word as [start, end, word]."""
    told = dataclasses.asdict(truth)
    told["words"] = [[round(w.start, 4), round(w.end, 4), w.word] for w in truth.words]
    files.write_json(path, told)


class Aligner:
    """Word times of clean prompts, each aligned once and kept in a JSON file."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._known: dict[str, list[list[Any]]] = files.read_json(cache) if cache.is_file() else {}
        self._decoder = pocketsphinx.Decoder(lm=None, bestpath=False, loglevel="FATAL")

    def words(self, name: str, text: str, samples: Samples, rate: int) -> list[SpokenWord]:
        """The words of a prompt with times in it; none where text and sound do not fit."""
        if name not in self._known:
            found = self._align(text, samples, rate)
            self._known[name] = [[round(w.start, 4), round(w.end, 4), w.word] for w in found]
        return [SpokenWord(*row) for row in self._known[name]]

    def save(self) -> None:
        """Keep what was aligned for the next run."""
        files.write_json(self._cache, self._known)

    def _align(self, text: str, samples: Samples, rate: int) -> list[SpokenWord]:
        wanted = comparable(text).split()
        if NOT_ALIGNABLE.search(text) or not all(map(self._decoder.lookup_word, wanted)):
            return []
        heard = audio.resample(samples, rate, ENGINE_RATE)
        heard = np.pad(heard * (0.7 / max(float(np.abs(heard).max()), 1e-3)), round(LEAD * 16_000))
        self._decoder.set_align_text(" ".join(wanted))
        self._decoder.start_utt()
        self._decoder.process_raw((heard * 32_767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        rows = [row for row in self._decoder.seg() or [] if not row.word.startswith("<")]
        if [re.sub(r"\(\d+\)$", "", row.word) for row in rows] != wanted:
            return []
        words = [
            SpokenWord(row.start_frame / 100 - LEAD, (row.end_frame + 1) / 100 - LEAD, word)
            for row, word in zip(rows, wanted, strict=True)
        ]
        sounds = sound_spans(samples, rate, bridge=0.05)
        if len(sounds) > 1 and sounds[0][1] < sounds[0][0] + BREATH < sounds[1][0]:
            sounds = sounds[1:]
        if abs(words[0].start - sounds[0][0]) > LOST or abs(words[-1].end - sounds[-1][1]) > LOST:
            return []
        return snapped(words, sounds)


def snapped(words: list[SpokenWord], sounds: list[Span]) -> list[SpokenWord]:
    """Words whose edges at pauses lie where the sound ends and begins again.

    A pause belongs to the boundary between two words that lies in it or up to ``SNAP`` beside it;
    a silence elsewhere is within a word and moves nothing.
    """
    out = list(words)
    out[0] = dataclasses.replace(out[0], start=sounds[0][0])
    out[-1] = dataclasses.replace(out[-1], end=sounds[-1][1])
    for (_, quiet_from), (quiet_to, _) in pairwise(sounds):
        for n, (before, after) in enumerate(pairwise(words)):
            inside = before.end < quiet_to + SNAP and after.start > quiet_from - SNAP
            if inside and quiet_from > out[n].start and quiet_to < out[n + 1].end:
                out[n] = dataclasses.replace(out[n], end=quiet_from)
                out[n + 1] = dataclasses.replace(out[n + 1], start=quiet_to)
                break
    return out


def sound_spans(samples: Samples, rate: int, bridge: float = CLOSURE) -> list[Span]:
    """Where clean ``samples`` [frames] of one voice hold sound; gaps below ``bridge`` are part."""
    size = round(HOP * rate)
    power = np.square(samples[: len(samples) // size * size].reshape(-1, size)).mean(axis=1)
    level = 10 * np.log10(np.convolve(power, np.ones(3) / 3, mode="same") + 1e-10)
    floor = max(np.percentile(level, 3) + ABOVE_FLOOR_DB, level.max() - BELOW_PEAK_DB)
    # A clip almost without pauses shows no floor.
    floor = min(floor, level.max() - QUIETEST_DB)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], level > floor, [False]])))
    spans = [(float(a) * HOP, float(b) * HOP) for a, b in edges.reshape(-1, 2)]
    # A click is no sound of speech.
    return [span for span in merged(spans, bridge) if span[1] - span[0] >= CLICK]


def merged(spans: list[Span], bridge: float) -> list[Span]:
    """Spans in order, those joined that are at most ``bridge`` seconds apart or overlap."""
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and start - out[-1][1] <= bridge:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out
