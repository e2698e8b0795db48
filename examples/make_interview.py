"""Make the example recording: an interview between two synthetic voices.

Reads the dialogue, speaks it sentence by sentence, places the sentences in
time, adds two rooms, music and a little noise, and writes the recording with
the truth beside it: who speaks when, and which words.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import music
import numpy as np
import numpy.typing as npt
import pyloudnorm
import soundfile
import soxr
import yaml
from kokoro_voice import Kokoro
from piper_voice import Piper

Samples = npt.NDArray[np.float64]

HERE = Path(__file__).resolve().parent
RATE = 48_000

# Silences, in seconds: drawn between these bounds where the dialogue names none.
SENTENCE_PAUSE = (0.3, 0.65)
TURN_PAUSE = (0.45, 1.1)
LEAD_OUT = 1.0

# Levels in dB.
LOUDNESS_LUFS = -20.0
PEAK_DBFS = -1.5
SPEECH_DBFS = -23.0
SENTENCE_SPREAD_DB = 1.0
ASIDE_DB = -4.0
NOISE_DBFS = -62.0
MUSIC_BELOW_SPEECH_DB = 9.0
INTRO_DBFS = -27.0

# The music: its introduction alone, and how far a bed reaches around its turns.
INTRO_SECONDS = 6.5
BED_REACH = 0.4
FADE_SECONDS = 1.2

# The reference slice: the target alone, without music, of about this length.
REFERENCE_SECONDS = (11.0, 15.0)


class Model(Protocol):
    """What speaks with the voices that the dialogue describes. ``rate`` is its sound's, in Hz."""

    rate: int

    def say(self, text: str, voice: Any, speed: float) -> npt.NDArray[np.float32]:
        """One sentence, without silence around it."""
        ...


@dataclass
class Sentence:
    """One spoken sentence and its place in the recording, in seconds."""

    speaker: str
    start: float
    end: float
    text: str


@dataclass
class Span:
    """A stretch of the recording, in seconds."""

    start: float
    end: float


def gain(decibels: float) -> float:
    """The factor that raises an amplitude by so many decibels."""
    return float(10 ** (decibels / 20))


def speech_rms(samples: Samples, rate: int) -> float:
    """Root mean square of the parts of a signal in which somebody speaks."""
    frame = rate // 50
    power = np.mean(samples[: len(samples) // frame * frame].reshape(-1, frame) ** 2, axis=1)
    return float(np.sqrt(np.mean(power[power > power.max() * 1e-3])))


def speak(models: dict[str, Model], speaker: dict[str, Any], text: str, level_db: float) -> Samples:
    """One sentence at the recording's rate, as loud as its speaker should be."""
    model = models[speaker["model"]]
    voice = model.say(text, speaker["voice"], speaker["speed"])
    samples = np.asarray(soxr.resample(voice, model.rate, RATE), dtype=np.float64)
    wanted = gain(SPEECH_DBFS + speaker["level"] + level_db)
    return np.asarray(samples * (wanted / speech_rms(samples, RATE)))


def perform(
    script: dict[str, Any], models: dict[str, Model], rng: np.random.Generator
) -> tuple[list[Sentence], dict[str, Samples], list[Span]]:
    """Speak the dialogue: the sentences, each speaker's dry track, the music beds."""
    speakers = script["speakers"]
    sentences: list[Sentence] = []
    sounds: list[Samples] = []
    beds: list[Span] = []
    clock = INTRO_SECONDS
    bed_open = False

    def put(name: str, text: str, start: float, samples: Samples) -> float:
        start = round(start * RATE) / RATE
        end = start + len(samples) / RATE
        sentences.append(Sentence(name, start, end, text))
        sounds.append(samples)
        return end

    for turn in script["turns"]:
        name = turn["speaker"]
        others = [other for other in speakers if other != name]
        for number, said in enumerate(turn["say"]):
            line = {"text": said} if isinstance(said, str) else said
            bounds = SENTENCE_PAUSE if number else TURN_PAUSE
            start = clock + line.get("pause", rng.uniform(*bounds))
            level = rng.uniform(-SENTENCE_SPREAD_DB, SENTENCE_SPREAD_DB)
            samples = speak(models, speakers[name], line["text"], level)
            clock = put(name, line["text"], start, samples)
            if "aside" in line:
                aside = speak(models, speakers[others[0]], line["aside"], ASIDE_DB)
                begin = start + line["at"] * (clock - start)
                put(others[0], line["aside"], begin, aside)
            if turn.get("music"):
                if not bed_open:
                    beds.append(Span(start - BED_REACH, clock))
                beds[-1].end = clock + BED_REACH
            bed_open = bool(turn.get("music"))

    length = round((clock + LEAD_OUT) * RATE)
    tracks = {name: np.zeros(length) for name in speakers}
    for sentence, samples in zip(sentences, sounds, strict=True):
        first = round(sentence.start * RATE)
        tracks[sentence.speaker][first : first + len(samples)] += samples
    sentences.sort(key=lambda sentence: sentence.start)
    return sentences, tracks, beds


def in_room(track: Samples, speaker: dict[str, Any], rng: np.random.Generator) -> Samples:
    """A track with the echo of a small room behind it; the voice itself stays in place."""
    seconds = speaker["reverb_seconds"]
    time = np.arange(int(1.2 * seconds * RATE)) / RATE
    echo = rng.standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    echo[: int(0.003 * RATE)] = 0.0
    echo = soxr.resample(soxr.resample(echo, RATE, 12_000), 12_000, RATE)  # walls are dull
    echo *= gain(-speaker["direct_db"]) / np.sqrt(np.sum(echo**2))
    size = 1 << (len(track) + len(echo)).bit_length()
    tail = np.fft.irfft(np.fft.rfft(track, size) * np.fft.rfft(echo, size), size)
    return np.asarray(track + tail[: len(track)])


def faded(samples: Samples) -> Samples:
    """The music, faded in and out."""
    ramp = np.sin(np.linspace(0.0, np.pi / 2, int(FADE_SECONDS * RATE))) ** 2
    shaped = samples.copy()
    shaped[: len(ramp)] *= ramp
    shaped[-len(ramp) :] *= ramp[::-1]
    return shaped


def score(
    voices: Samples, beds: list[Span], rng: np.random.Generator
) -> tuple[Samples, list[dict[str, float | None]]]:
    """The music track and its list: an introduction alone, then the beds under speech."""
    track = np.zeros(len(voices))
    listed: list[dict[str, float | None]] = []
    for span in [Span(0.0, INTRO_SECONDS), *beds]:
        first, last = round(span.start * RATE), round(span.end * RATE)
        speech = voices[first:last]
        if span.start == 0.0:
            level, below = gain(INTRO_DBFS), None
        else:
            level, below = (
                speech_rms(speech, RATE) * gain(-MUSIC_BELOW_SPEECH_DB),
                MUSIC_BELOW_SPEECH_DB,
            )
        tune = music.play((last - first) / RATE + 0.01, RATE, rng)[: last - first]
        track[first:last] += level * faded(tune)
        listed.append({"start": span.start, "end": span.end, "snr_db": below})
    return track, listed


def room_noise(length: int, rng: np.random.Generator) -> Samples:
    """Faint noise that falls with frequency, as in a quiet room."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    hertz = np.fft.rfftfreq(length, 1 / RATE)
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(hertz, 40.0)), length)
    return np.asarray(noise * gain(NOISE_DBFS) / np.sqrt(np.mean(noise**2)))


def limiter(mix: Samples) -> Samples:
    """The gain at each sample that holds a mix under the highest peak.

    It looks ahead: the gain falls smoothly before a peak and rises after it.
    """
    block = RATE // 500
    blocks = -(-len(mix) // block)
    peaks = np.abs(np.pad(mix, (0, blocks * block - len(mix)))).reshape(-1, block).max(axis=1)
    needed = np.minimum(1.0, gain(PEAK_DBFS) / np.maximum(peaks, 1e-9))
    around = np.lib.stride_tricks.sliding_window_view(np.pad(needed, 10, mode="edge"), 21)
    window = np.hanning(19)
    smooth = np.convolve(np.pad(around.min(axis=1), 9, mode="edge"), window / window.sum(), "valid")
    return np.asarray(np.interp(np.arange(len(mix)), (np.arange(blocks) + 0.5) * block, smooth))


def mastering(mix: Samples) -> Samples:
    """The gain at each sample that brings a mix to its loudness under the highest peak."""
    meter = pyloudnorm.Meter(RATE)
    factor = 1.0
    for _ in range(3):
        loud = factor * mix
        loud *= limiter(loud)
        factor *= gain(LOUDNESS_LUFS - meter.integrated_loudness(loud))
    return np.asarray(factor * limiter(factor * mix))


def overlaps(sentences: list[Sentence]) -> list[Span]:
    """Where two people speak at once."""
    found = []
    for one, sentence in enumerate(sentences):
        for other in sentences[one + 1 :]:
            start, end = max(sentence.start, other.start), min(sentence.end, other.end)
            if start < end and sentence.speaker != other.speaker:
                found.append(Span(start, end))
    return sorted(found, key=lambda span: span.start)


def reference_slice(sentences: list[Sentence], target: str, music_spans: list[Span]) -> Span:
    """The first run of whole sentences of the target alone that is long enough.

    It begins and ends in the middle of the pauses around the run.
    """
    for first in range(1, len(sentences) - 1):
        for last in range(first, len(sentences) - 1):
            run = sentences[first : last + 1]
            if any(sentence.speaker != target for sentence in run):
                break
            before, after = sentences[first - 1], sentences[last + 1]
            start = (before.end + run[0].start) / 2
            end = (run[-1].end + after.start) / 2
            busy = any(span.start < end and start < span.end for span in music_spans)
            fits = REFERENCE_SECONDS[0] <= end - start <= REFERENCE_SECONDS[1]
            if fits and not busy and before.end < run[0].start and run[-1].end < after.start:
                return Span(start, end)
    raise ValueError("no stretch of the target alone is long enough for a reference")


def rounded(value: Any) -> Any:
    """Numbers to the millisecond, at any depth."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return value


def encode(mix: Samples, output: Path, title: str, kilobits: int) -> None:
    """Write the mix as Ogg Opus."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "mix.wav"
        soundfile.write(wav, mix, RATE, subtype="PCM_24")
        output.parent.mkdir(parents=True, exist_ok=True)
        partial = output.with_name(f".{output.stem}.partial.opus")
        command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
        command += ["-i", str(wav), "-c:a", "libopus", "-b:a", f"{kilobits}k"]
        command += ["-fflags", "+bitexact", "-flags:a", "+bitexact"]
        command += ["-metadata", f"title={title}"]
        command += ["-metadata", "comment=Synthetic speech. Both voices are machine-made."]
        subprocess.run([*command, str(partial)], check=True)
        partial.replace(output)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voices", type=Path, required=True, help="folder of Kokoro's voices")
    parser.add_argument("--script", type=Path, default=HERE / "interview.yaml", help="the dialogue")
    parser.add_argument(
        "-o", "--output", type=Path, default=HERE / "interview.opus", help="the recording"
    )
    parser.add_argument("--kilobits", type=int, default=96, help="bit rate (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default: %(default)s)")
    parser.add_argument("--cache", type=Path, help="keep Kokoro's sentences in this folder")
    parser.add_argument("--parts", type=Path, help="also write voices, music and noise here as WAV")
    return parser


def main() -> int:
    """Make the recording and its truth."""
    args = build_parser().parse_args()
    script = yaml.safe_load(args.script.read_text(encoding="utf-8"))
    speakers, target = script["speakers"], script["target"]
    rng = np.random.default_rng(script["seed"])
    models: dict[str, Model] = {
        "kokoro": Kokoro(args.voices, args.cache, args.threads, script["seed"]),
        "piper": Piper(args.threads, script["seed"]),
    }

    sentences, dry, beds = perform(script, models, rng)
    parts = {name: in_room(track, speakers[name], rng) for name, track in dry.items()}
    parts["music"], music_list = score(sum(dry.values(), np.zeros(1)), beds, rng)
    parts["noise"] = room_noise(len(parts["music"]), rng)
    factor = mastering(sum(parts.values(), np.zeros(1)))
    mix = factor * sum(parts.values(), np.zeros(1))

    truth = {
        "duration": len(mix) / RATE,
        "sample_rate": RATE,
        "speakers": {
            ("target" if name == target else "interviewer"): speaker["called"]
            for name, speaker in speakers.items()
        },
        "turns": [asdict(sentence) for sentence in sentences],
        "overlaps": [asdict(span) for span in overlaps(sentences)],
        "music": music_list,
        "reference": asdict(reference_slice(sentences, target, [Span(0.0, INTRO_SECONDS), *beds])),
    }
    encode(mix, args.output, script["title"], args.kilobits)
    truth_path = args.output.with_suffix(".truth.json")
    truth_path.write_text(json.dumps(rounded(truth), indent=1) + "\n", encoding="utf-8")
    if args.parts:
        args.parts.mkdir(parents=True, exist_ok=True)
        for name, part in parts.items():
            soundfile.write(args.parts / f"{name}.wav", factor * part, RATE, subtype="PCM_24")
        for name, part in dry.items():
            soundfile.write(args.parts / f"{name}_dry.wav", factor * part, RATE, subtype="PCM_24")
    print(f"wrote {args.output} ({len(mix) / RATE:.1f} s) and {truth_path}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
