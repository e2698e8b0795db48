"""What the small models of the offline default reach, beside what they are asked for.

    python benchmarks/small_models.py --data DATA --speech path/to/kathleen
    python benchmarks/small_models.py separator --separator models/demucs-small

Everything is measured here and now, on voices that no training heard: the held-out rows of DATA
and the recordings of --speech. Without either, the shipped interview's guest stands in for them.
Only cloning is read from the scores that a run of the pipeline left.
"""

import argparse
import dataclasses
import importlib.util
import itertools
import json
import random
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import speech
from speech import Clip

from vc_common import audio, csm, files, mimi, pretrained, quality, speakers
from vc_common.audio import ENGINE_RATE, TTS_RATE, Samples
from vc_common.judge import SPARE_TOKENS, TOKENS_A_WORD
from vc_common.text import comparable, word_error_rate
from vc_common.whisper import Transcriber

ROOT = Path(__file__).parent.parent
PARTS = ("codec", "tts", "clone", "separator")
SEED = 20260110
RATE = 44_100  # of the mixes: what the separate stage gets
MIX_SECONDS, PEAK = 12.0, 0.9
HELD_MUSIC = 5  # pieces of models/data/music.py, from SEED on, that no training hears
CONTEXT_SECONDS = (3.0, 8.0)

# Written for this page, so that no training text can have held them.
SENTENCES = (
    "The ferry leaves at seven, unless the fog keeps it in the harbour.",
    "Put the blue folder on top of the piano, please.",
    "Three of the windows were open, and nobody could say why.",
    "My grandmother grew tomatoes behind the railway station.",
    "Is there still some bread left from yesterday?",
    "We counted eleven swans under the old stone bridge.",
    "He sold his camera and bought a second-hand canoe.",
    "The choir rehearses every Wednesday in the empty bakery.",
    "Please do not feed the goat; it has eaten already.",
    "A thin line of smoke rose above the orchard.",
    "They painted the kitchen yellow and regretted it at once.",
    "You will find the key under the third flower pot.",
    "It snowed all night, so the school stayed closed.",
    "The judge smiled, folded her glasses, and left the room.",
    "Nothing is as quiet as a library in August.",
    "Our neighbour is teaching his parrot to whistle.",
    "Take the second road on the left, after the chapel.",
    "The battery was flat, and the torch stayed dark.",
    "I would rather walk than wait for another bus.",
    "Every spring the river moves a little further east.",
)


@dataclass(frozen=True)
class Figure:
    """A measured number, and the limits it is asked to keep; without any it is only told."""

    part: str
    name: str
    value: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it is as good as asked; None where nothing is asked."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least

    def row(self) -> tuple[str, str, str, str, str]:
        """As the table shows it."""
        goal = ""
        if self.at_most is not None:
            goal = f"{self.at_most:g} or less"
        elif self.at_least is not None:
            goal = f"{self.at_least:g} or more"
        met = {True: "met", False: "missed", None: ""}[self.met]
        return self.part, self.name, f"{self.value:.3f}", goal, met


@dataclass(frozen=True)
class Ears:
    """The engines that judge, and clips to listen to: real speech, and held-out voices by name."""

    transcriber: Transcriber
    encoder: speakers.SpeakerEncoder
    real: list[Clip]
    voices: dict[str, list[Clip]]

    def hear(self, samples: Samples, text: str) -> str:
        """What Whisper base understands of 24 kHz ``samples`` that should say ``text``."""
        if not np.any(samples):
            return ""
        most = SPARE_TOKENS + TOKENS_A_WORD * len(comparable(text).split())
        low = _low(samples)
        return self.transcriber.hear(low, "en", fallback=False, max_tokens=most).text

    def errors(self, said: Sequence[tuple[str, Samples]]) -> float:
        """Word error rate over texts and the sound that should say them."""
        return word_error_rate(
            [text for text, _ in said], [self.hear(samples, text) for text, samples in said]
        )

    def clips(self, count: int) -> list[Clip]:
        """So many clips, taken from the voices in turn."""
        turns = itertools.zip_longest(*self.voices.values())
        return [clip for turn in turns for clip in turn if clip][:count]


def _low(samples: Samples) -> Samples:
    return audio.resample(samples, TTS_RATE, ENGINE_RATE)


def listen(args: argparse.Namespace) -> Ears:
    """Engines and held-out voices."""
    voices = held_voices(args.data) if args.data else {}
    real = speech.read(args.speech) if args.speech else []
    if real:
        voices[args.speech.name] = real
    if not voices:
        print("no --data and no --speech: the shipped interview's guest stands in for held voices")
        voices["guest"] = dry_turns()
    device = pretrained.choose_device(args.device)
    return Ears(Transcriber(device=device), speakers.load("package:resemblyzer"), real, voices)


def held_voices(folder: Path) -> dict[str, list[Clip]]:
    """The held-out rows of a folder of clips, by speaker, in an order drawn once."""
    lines = (folder / "metadata.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == "held"]
    random.Random(SEED).shuffle(rows)  # noqa: S311 - an order, no secret
    voices: dict[str, list[Clip]] = {}
    for row in rows:
        samples, _ = audio.read(folder / row["file"], TTS_RATE)
        voices.setdefault(row["speaker"], []).append(Clip(row["file"], row["text"], samples))
    return voices


def dry_turns() -> list[Clip]:
    """The guest's turns that no music and no other voice touches."""
    truth = files.read_json(speech.EXAMPLES / "interview.truth.json")
    turns, others = truth["turns"], truth["music"] + truth["overlaps"]
    touched = {
        f"turn-{index}"
        for index, turn in enumerate(turns)
        for span in others
        if turn["start"] < span["end"] and span["start"] < turn["end"]
    }
    return [clip for clip in speech.read(None) if clip.name not in touched]


def codec(args: argparse.Namespace, ears: Ears) -> Iterator[Figure]:
    """Real clips through the codec and back."""
    if not ears.real:
        print("codec: skipped, it is measured on real speech; give --speech")
        return
    model = mimi.load(args.model, args.device)
    clips = ears.real[: args.clips]
    back = [mimi.decode(model, mimi.encode(model, clip.samples)) for clip in clips]
    errors = ears.errors([(clip.text, clip.samples) for clip in clips])
    again = ears.errors([(clip.text, made) for clip, made in zip(clips, back, strict=True)])
    yield Figure("codec", "WER of the originals", errors)
    yield Figure("codec", "WER of the resynthesis", again)
    yield Figure("codec", "WER added", again - errors, at_most=0.10)
    embed = ears.encoder.embed
    alike, drops = [], []
    for clip, made in zip(clips, back, strict=True):
        before, after = _low(clip.samples), _low(made)
        alike.append(speakers.cosine(embed(before), embed(after)))
        drops.append(quality.dnsmos(before) - quality.dnsmos(after))
    yield Figure("codec", "encoder similarity", float(np.mean(alike)), at_least=0.75)
    yield Figure("codec", "DNSMOS drop", float(np.mean(drops)), at_most=0.8)


def tts(args: argparse.Namespace, ears: Ears) -> Iterator[Figure]:
    """Sentences that no training held, each held voice's share after a clip of that voice."""
    device = pretrained.choose_device(args.device)
    model = csm.load(args.model, device, csm.speaking_dtype(device))
    texts = SENTENCES[: args.sentences]
    said: list[tuple[str, csm.Speech]] = []
    took = 0.0
    for number, (name, clips) in enumerate(ears.voices.items()):
        asked = texts[number :: len(ears.voices)]
        context = _context(model, name, clips)
        started = time.perf_counter()
        spoken = csm.speak_all(model, asked, context, seeds=range(len(asked)))
        took += time.perf_counter() - started
        said += zip(asked, spoken, strict=True)
    seconds = sum(len(made.samples) for _, made in said) / TTS_RATE
    errors = ears.errors([(text, made.samples) for text, made in said])
    yield Figure("tts", "WER of unseen sentences", errors, at_most=0.15)
    stopped = sum(made.stopped_by_itself for _, made in said) / len(said)
    yield Figure("tts", "share that stops by itself", stopped, at_least=0.95)
    yield Figure("tts", "real-time factor", took / max(seconds, 0.01), at_most=0.5)


def _context(model: csm.Csm, name: str, clips: Sequence[Clip]) -> list[csm.Utterance]:
    """One clip that tells the model whose voice to speak in."""
    low, high = CONTEXT_SECONDS
    fitting = [clip for clip in clips if low <= clip.seconds <= high]
    if not fitting:
        print(f"voice {name}: no clip of {low:g} to {high:g} s to steer by")
        return []
    clip = fitting[-1]
    return [csm.Utterance(clip.text, mimi.encode(model.model.codec_model, clip.samples))]


def clone(args: argparse.Namespace) -> Iterator[Figure]:
    """What fine-tuning changed, by the scores of the pipeline's run."""
    if not args.scores.is_file():
        print(f"clone: skipped, no {args.scores}; run the pipeline first (make demo)")
        return
    scores = files.read_json(args.scores)
    base, tuned = scores["variants"]["base"], scores["variants"]["lora"]
    ceiling, floor = scores["ceiling"]["similarity"], (scores["floor"] or {}).get("similarity")
    yield Figure("clone", "similarity, base", base["similarity"])
    yield Figure("clone", "similarity, LoRA", tuned["similarity"])
    yield Figure("clone", "similarity, ceiling (the speaker)", ceiling)
    gain = tuned["similarity"] - base["similarity"]
    yield Figure("clone", "similarity gained over base", gain, at_least=0.001)
    if floor is not None:
        yield Figure("clone", "similarity, floor (somebody else)", floor)
        way = (tuned["similarity"] - floor) / (ceiling - floor)
        yield Figure("clone", "share of the way, floor to ceiling", way, at_least=0.5)
    if base["wer"] is not None:
        yield Figure("clone", "WER added", tuned["wer"] - base["wer"], at_most=0.05)


def separator(args: argparse.Namespace, ears: Ears) -> Iterator[Figure]:
    """Mixes of held-out speech with music as loud, through the separators in turn."""
    from vc_separate import separators

    device = pretrained.choose_device(args.device)
    names = list(dict.fromkeys((args.separator, args.interim)))
    loaded = {name: separators.load(name, device) for name in names}
    voices = list(mix_voices(ears.clips(args.clips), args.mixes))
    for kind, songs in music(args.music, len(voices)).items():
        mixes = [mixed(*pair) for pair in zip(voices, songs, strict=True)]
        for name in names:
            gain, speed = separate(loaded[name], mixes)
            asked = 8.0 if name == args.separator else None
            yield Figure("separator", f"{name}: SI-SDR gain, {kind} (dB)", gain, at_least=asked)
            yield Figure("separator", f"{name}: times real time", speed)


def mix_voices(clips: Iterable[Clip], count: int) -> Iterator[Samples]:
    """Stretches of speech at 44.1 kHz, mono, [frames] of MIX_SECONDS each."""
    size = round(MIX_SECONDS * TTS_RATE)
    whole = np.concatenate([clip.samples for clip in clips])
    for start in range(0, min(count * size, len(whole) - size + 1), size):
        yield audio.resample(whole[start : start + size], TTS_RATE, RATE)


def music(path: Path, count: int) -> dict[str, list[Samples]]:
    """Stereo pieces [frames, 2] by kind: of the training's family, and the shipped tune."""
    tune = _module(speech.EXAMPLES / "music.py")
    whole = tune.play(count * MIX_SECONDS, RATE, np.random.default_rng(SEED)).astype(np.float32)
    parts = np.array_split(whole, count)
    kinds = {"the shipped tune": [np.stack([part, part], axis=1) for part in parts]}
    if not path.is_file():
        print(f"separator: no {path}, so only the shipped tune plays")
        return kinds
    maker = _module(path)
    seeds = itertools.islice(itertools.cycle(range(SEED, SEED + HELD_MUSIC)), count)
    made = [maker.render(MIX_SECONDS, seed, RATE).T for seed in seeds]
    return {"held-out music": made} | kinds


def _module(path: Path) -> Any:
    """A Python file that belongs to no package."""
    spec = importlib.util.spec_from_file_location(f"loaded_{path.stem}_{path.parent.name}", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path}: no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mixed(voice: Samples, song: Samples) -> tuple[Samples, Samples]:
    """A mix [frames, 2] with the song, heard in mono, as loud as the voice [frames]; and that."""
    size = min(len(voice), len(song))
    voice, song = voice[:size], song[:size]
    song = song * np.sqrt(np.mean(voice**2) / np.mean(song.mean(axis=1) ** 2))
    mix = voice[:, None] + song
    scale = PEAK / np.abs(mix).max()
    return scale * mix, scale * voice


def separate(by: Any, mixes: Sequence[tuple[Samples, Samples]]) -> tuple[float, float]:
    """Mean gain in SI-SDR (dB, mono) of the mixes, and how many times real time it runs."""
    from vc_separate import engine

    gains, seconds = [], 0.0
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "mix.wav", Path(folder) / "voice.flac"
        for mix, voice in mixes:
            audio.write(source, mix, RATE)
            engine.keep_voice(source, target, by)
            heard, _ = audio.read(target)
            gains.append(si_sdr(heard, voice) - si_sdr(mix.mean(axis=1), voice))
            seconds += len(voice) / RATE
    return float(np.mean(gains)), seconds / (time.perf_counter() - started)


def si_sdr(heard: Samples, voice: Samples) -> float:
    """Scale-invariant signal-to-distortion ratio in dB of [frames]."""
    part = (heard @ voice) / (voice @ voice) * voice
    return float(10 * np.log10((part @ part) / np.sum(np.square(heard - part))))


def measure(args: argparse.Namespace) -> Iterator[Figure]:
    """The figures of all parts that were asked for."""
    if "clone" in args.parts:
        yield from clone(args)
    listening = [part for part in (codec, tts, separator) if part.__name__ in args.parts]
    if not listening:
        return
    ears = listen(args)
    for part in listening:
        yield from part(args, ears)


def show(figures: Sequence[Figure]) -> None:
    """Print a table."""
    rows = [("part", "figure", "measured", "goal", ""), *(figure.row() for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    asked = [figure.met for figure in figures if figure.met is not None]
    print(f"{sum(asked)} of {len(asked)} goals met")


def build_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all unless told")
    add("--model", default=str(ROOT / "models" / "csm-micro"), help="a CSM's folder or Hub id")
    add("--separator", default="package:spleeter", help="as vc-separate's --model")
    add("--interim", default="package:spleeter", help="the separator to compare it with")
    add("--scores", type=Path, default=ROOT / "results" / "guest" / "scores.json")
    add("--music", type=Path, default=ROOT / "models" / "data" / "music.py", help="makes music")
    add("--data", type=Path, help="folder of clips with a metadata.jsonl: its held-out voices")
    add("--speech", type=Path, help="folder of real recordings with a metadata.csv")
    add("--clips", type=int, default=40, help="clips through the codec and into the mixes")
    add("--sentences", type=int, default=len(SENTENCES), help="to speak")
    add("--mixes", type=int, default=8, help=f"of {MIX_SECONDS:g} s to separate")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where")
    add("--json", type=Path, help="file for the figures")
    return parser


def main() -> None:
    """Measure as the command line says."""
    parser = build_parser()
    args = parser.parse_args()
    if unknown := set(args.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are: {', '.join(PARTS)}")
    args.parts = args.parts or list(PARTS)
    if args.speech and not args.speech.is_dir():
        print(f"--speech {args.speech}: skipped, no such folder")
        args.speech = None
    figures = list(measure(args))
    show(figures)
    if args.json:
        told = [{**dataclasses.asdict(figure), "met": figure.met} for figure in figures]
        settings = {name: str(value) for name, value in vars(args).items()}
        files.write_json(args.json, {"settings": settings, "figures": told})


if __name__ == "__main__":
    main()
