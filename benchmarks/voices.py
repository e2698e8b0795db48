"""Clean pieces of real speech to mix from: the target's prompts and the other speakers' phrases."""

import csv
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import truth
from truth import Span, SpokenWord

from vc_core import audio, files, media
from vc_core.audio import ENGINE_RATE, Samples

RATE = 44_100  # Hz, of everything mixed
TARGET = "kathleen"
SPEECH_DB = -23.0  # dBFS of speech while somebody speaks
FADE = 0.005  # seconds at both ends of every piece
PHRASE = (1.2, 5.0)  # seconds of what another speaker says without a long pause
REACTION = (0.2, 0.9)  # seconds of a short reaction
PAUSE = 0.18  # seconds from which a silence parts phrases
ENCODER = "package:campplus"  # says who sounds alike
GUEST_SECONDS = 13.0  # of the clip of a guest, who has nothing else to say
ALIKE_SECONDS = 5.0  # of a clip, so that its embedding means something
WORD = re.compile(r"[A-Za-z'-]+")
CLIPPED_PROMPTS = {"arctic_a0252"}  # the data set's own errata


@dataclass(frozen=True)
class Piece:
    """A stretch of one voice, ``samples`` [frames] at ``RATE``; words and sound in its own time."""

    samples: Samples
    words: tuple[SpokenWord, ...]
    sounds: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / RATE

    def part(self, start: float, end: float) -> "Piece":
        """What lies within [start, end) seconds, faded at both ends."""
        return Piece(
            _faded(self.samples[round(start * RATE) : round(end * RATE)]),
            tuple(
                SpokenWord(w.start - start, w.end - start, w.word)
                for w in self.words
                if start <= (w.start + w.end) / 2 < end
            ),
            tuple(
                (max(a, start) - start, min(b, end) - start)
                for a, b in self.sounds
                if a < end and start < b
            ),
        )


class Target:
    """The target's prompts in an order drawn by ``rng``, of those whose words can be aligned.

    Prompts with names are left out: how Jeanne or Yang-tse is spelled cannot be heard.
    """

    def __init__(self, folder: Path, aligner: truth.Aligner, rng: np.random.Generator) -> None:
        with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE))
        names = _names(" ".join(text for _, text in rows))
        heard = [row for row in rows if not names & set(WORD.findall(row[1]))]
        self._rows = [heard[n] for n in rng.permutation(len(heard))]
        self._folder, self._aligner, self._at = folder, aligner, 0

    def prompt(self) -> Piece:
        """The next prompt; none comes twice."""
        while True:
            name, text = self._rows[self._at]
            self._at += 1
            samples, rate = audio.read(self._folder / "flac24k" / f"{name}.flac")
            words = self._aligner.words(name, text, samples, rate)
            if words and name not in CLIPPED_PROMPTS:
                return _piece(samples, rate, tuple(words))

    def reaction(self, longest: float = REACTION[1]) -> Piece:
        """A few words of a prompt, between two pauses."""
        while True:
            prompt = self.prompt()
            found = _short(prompt, longest)
            if found is not None and found.words:
                return found


class Guest:
    """Another speaker's only clip in phrases, which come round again when all were said."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem.split("-")[0]
        samples, rate = audio.read(path)
        whole = _piece(samples, rate, ())
        self._whole = whole
        self.phrases = [whole.part(a, b) for a, b in _phrases(whole.sounds)]
        self._at = 0

    def prompt(self) -> Piece:
        """The next phrase."""
        self._at += 1
        return self.phrases[(self._at - 1) % len(self.phrases)]

    def reaction(self, longest: float = REACTION[1]) -> Piece:
        """A short sound between two pauses; the beginning of a phrase where there is none."""
        return _short(self._whole, longest) or self.prompt().part(0, longest)


def guests(folder: Path, count: int, rng: np.random.Generator) -> list[Guest]:
    """``count`` speakers drawn from those with a long clip that has pauses."""
    paths = sorted(folder.glob("*.flac"))
    drawn = (paths[n] for n in rng.permutation(len(paths)))
    long = (Guest(path) for path in drawn if media.probe(path).seconds >= GUEST_SECONDS)
    fluent = (g for g in long if max(p.seconds for p in g.phrases) < 1.5 * PHRASE[1])
    return list(islice(fluent, count))


def most_alike(speech: Path, cache: Path) -> Path:
    """The clip of the woman whose voice the package-shipped encoder finds most like the target's.

    Measured once over all women; the cosines are kept in ``cache``, highest first.
    """
    folder = speech / "librispeech"
    if not cache.is_file():
        files.write_json(cache, _likeness(speech, folder))
    first: str = next(iter(files.read_json(cache)))
    return folder / first


def _likeness(speech: Path, folder: Path) -> dict[str, float]:
    from vc_speech.encoders import load
    from vc_speech.speakers import centroid, cosine

    women = {
        row[0].strip()
        for line in (folder / "SPEAKERS.TXT").read_text("utf-8").splitlines()
        if not line.startswith(";") and (row := line.split("|"))[1].strip() == "F"
    }
    encoder = load(ENCODER)
    prompts = sorted((speech / TARGET / "flac24k").glob("*.flac"))[::60]
    mine = centroid(np.stack([encoder.embed(audio.read(p, ENGINE_RATE)[0]) for p in prompts]))
    found = {
        path.name: cosine(encoder.embed(audio.read(path, ENGINE_RATE)[0]), mine)
        for path in sorted(folder.glob("*.flac"))
        if path.stem.split("-")[0] in women and media.probe(path).seconds >= ALIKE_SECONDS
    }
    return dict(sorted(found.items(), key=lambda row: -row[1]))


def level_db(samples: Samples) -> float:
    """Level in dBFS of the frames that hold sound."""
    size = RATE // 50
    power = np.square(samples[: len(samples) // size * size].reshape(-1, size)).mean(axis=1)
    return float(10 * np.log10(power[power > power.max() * 1e-3].mean() + 1e-12))


def _names(text: str) -> set[str]:
    """Words that are capital within a sentence and never small."""
    small = {word for word in WORD.findall(text) if word[0].islower()}
    capital = set(re.findall(r"(?<=[a-z,;] )[A-Z][A-Za-z'-]+", text))
    return {w for w in capital if w.lower() not in small and not w.startswith("I'")}


def _piece(samples: Samples, rate: int, words: tuple[SpokenWord, ...]) -> Piece:
    sounds = truth.sound_spans(samples, rate)
    made = audio.resample(samples, rate, RATE)
    gain = 10 ** ((SPEECH_DB - level_db(made)) / 20)
    return Piece(_faded(made * np.float32(gain)), words, tuple(sounds))


def _phrases(sounds: tuple[Span, ...]) -> list[Span]:
    """Sounds joined to phrases that end in pauses, each with a little of the pauses around."""
    spans: list[Span] = []
    for start, end in sounds:
        first, last = spans[-1] if spans else (-PHRASE[1], -PHRASE[1])
        ended = last - first >= PHRASE[0] and start - last >= PAUSE
        if ended or end - first > PHRASE[1]:
            spans.append((start, end))
        else:
            spans[-1] = (first, end)
    return [(max(0.0, a - 0.04), b + 0.04) for a, b in spans if b - a >= PHRASE[0] / 2]


def _short(piece: Piece, longest: float) -> Piece | None:
    """The longest sound between pauses that is no longer than ``longest``."""
    spans = truth.merged(list(piece.sounds), PAUSE)
    fitting = [span for span in spans if REACTION[0] <= span[1] - span[0] <= longest]
    if not fitting:
        return None
    start, end = max(fitting, key=lambda span: span[1] - span[0])
    return piece.part(max(0.0, start - 0.03), end + 0.03)


def _faded(samples: Samples) -> Samples:
    size = min(round(FADE * RATE), len(samples) // 2)
    ramp = np.linspace(0, 1, size, dtype=np.float32)
    out = samples.copy()
    out[:size] *= ramp
    out[len(out) - size :] *= ramp[::-1]
    return out
