"""Train the small separator: an HTDemucs of two stems, in demucs' own format.

    python models/demucs-small/train_demucs.py SPEECH -o models/demucs-small --minutes 8

SPEECH is a folder of clips with a metadata.jsonl. Music and rooms come from models/data/music.py.
Every example is mixed on the device while training, from speech, music and rooms held in memory.
A call works for so many minutes; the next one goes on from the checkpoint.
"""

import argparse
import functools
import importlib.util
import io
import itertools
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from demucs.htdemucs import HTDemucs
from torch import Tensor
from torch.nn import functional

from vc_common import audio, files

SEED = 20260110
NAME = "small"  # of the file; a dash in it would part a checksum from the name
RATE = 44_100
SOURCES = ["other", "vocals"]  # what is left, what is kept
VOCALS = SOURCES.index("vocals")
HERE = Path(__file__).parent

# Half the real model's window: speech changes faster than music.
SEGMENT = 4  # seconds: the length of an example, and what the model hears at once
SHAPE = {
    "channels": 24,
    "nfft": 2048,
    "t_layers": 2,
    "t_heads": 4,
    "t_hidden_scale": 2.0,
    "segment": SEGMENT,
}

RATE_OF_LEARNING, WARM_UP, COOL_DOWN = 1e-3, 300, 0.3  # steps; share of all steps at the end
CLIP_NORM, WEIGHT_DECAY = 1.0, 1e-2
STFT_SIZES = (512, 1024, 2048)
SPECTRAL_WEIGHT, COMPRESSED = 0.5, 0.3  # the loss of spectra; the exponent that lifts quiet parts

PART = 15 * 2**20  # bytes of a checkpoint's file: machines lent for a while give back small ones

PIECE = 60  # seconds of music made at once
ROOMS, ROOM_SECONDS = 200, 1.0
HELD_MUSIC, HELD_MIXES = 5, 32  # pieces that are never trained on; examples they are measured in
QUIETEST = 1e-3  # RMS: what is quieter is not raised any further

Sound = npt.NDArray[np.int16]


@dataclass(frozen=True)
class Recipe:
    """How examples are mixed: ranges in dB, and shares of the examples something happens in."""

    snr: tuple[float, float] = (-5.0, 20.0)  # speech over music
    noise_snr: tuple[float, float] = (5.0, 40.0)  # speech over noise
    alone: float = 0.1  # speech alone, and as often music alone
    noise: float = 0.5
    room: float = 0.5
    mono: float = 0.3  # music without width, so that width is not all that tells it
    two: float = 0.15  # two voices at once


# What the benchmark asks for: clean speech with music as loud.
HELD = Recipe((0.0, 0.0), (0.0, 0.0), alone=0, noise=0, room=0, mono=0, two=0)


@dataclass(frozen=True)
class Pool:
    """Sound to mix from: int16 speech [samples], int16 music [2, samples], rooms [n, 2, taps]."""

    speech: Tensor
    music: Tensor
    rooms: Tensor

    def to(self, device: str) -> "Pool":
        """The same on ``device``."""
        return Pool(self.speech.to(device), self.music.to(device), self.rooms.to(device))


class Mixer:
    """Mixes examples from a pool, on its device; a seed decides all of a batch."""

    def __init__(self, pool: Pool, recipe: Recipe, seconds: float) -> None:
        self._pool = pool
        self._recipe = recipe
        self.size = round(seconds * RATE)  # samples of an example
        self._generator = torch.Generator(pool.speech.device)

    def batch(self, count: int, seed: int) -> Tensor:
        """Stems [count, sources, 2, samples]; their sum is what the model is given."""
        self._generator.manual_seed(seed)
        recipe = self._recipe
        speech = self._in_rooms(self._speech(count))
        music = self._music(count)
        kind = self._uniform(0, 1, count)
        speech = speech * (kind >= recipe.alone).view(-1, 1, 1)
        music = music * (kind < 1 - recipe.alone).view(-1, 1, 1)
        noise = self._noise(count) * self._chosen(recipe.noise, count)
        stems = [music * self._gain(recipe.snr, count, -1), speech]
        stems[0] = stems[0] + noise * self._gain(recipe.noise_snr, count, -1)
        whole = torch.stack(stems, 1)
        # The model sets every mix to one level by itself; so only the loss needs to have it.
        return whole / _rms(whole.sum(1))[:, None]

    def _speech(self, count: int) -> Tensor:
        """Clips that follow each other, now and then two at once, [count, 2, samples]."""
        first, second = (_level(self._crops(self._pool.speech, count)) for _ in range(2))
        both = first + second * self._chosen(self._recipe.two, count)[:, 0]
        return _level(both)[:, None].expand(-1, 2, -1)

    def _music(self, count: int) -> Tensor:
        crops = self._crops(self._pool.music, count)
        middle = crops.mean(1, keepdim=True)
        narrow = self._chosen(self._recipe.mono, count)
        return _level(crops + narrow * (middle - crops))

    def _noise(self, count: int) -> Tensor:
        """Noise from white to brown, the same on both sides."""
        drawn = torch.randn(
            count, self.size, generator=self._generator, device=self._generator.device
        )
        bands = torch.fft.rfft(drawn)
        order = torch.arange(1, bands.shape[-1] + 1, device=bands.device)
        steep = self._uniform(0, 1, count)[:, None]
        made = torch.fft.irfft(bands * order**-steep, self.size)
        return _level(made)[:, None].expand(-1, 2, -1)

    def _in_rooms(self, speech: Tensor) -> Tensor:
        rooms = self._pool.rooms
        if not len(rooms) or not self._recipe.room:
            return speech
        drawn = self._drawn(len(rooms), len(speech))
        length = self.size + rooms.shape[-1]
        heard = torch.fft.rfft(speech, length) * torch.fft.rfft(rooms[drawn], length)
        wet = _level(torch.fft.irfft(heard, length)[..., : self.size])
        return speech + self._chosen(self._recipe.room, len(speech)) * (wet - speech)

    def _crops(self, sound: Tensor, count: int) -> Tensor:
        """Stretches of int16 ``sound`` [..., samples] as floats [count, ..., samples]."""
        starts = self._drawn(sound.shape[-1] - self.size + 1, count)
        where = starts[:, None] + torch.arange(self.size, device=sound.device)
        return sound[..., where].float().movedim(-2, 0) / 32768

    def _gain(self, decibels: tuple[float, float], count: int, sign: int = 1) -> Tensor:
        drawn: Tensor = 10 ** (sign * self._uniform(*decibels, count) / 20)
        return drawn.view(-1, 1, 1)

    def _chosen(self, share: float, count: int) -> Tensor:
        """One for a share of the examples and zero for the rest, [count, 1, 1]."""
        return (self._uniform(0, 1, count) < share).float().view(-1, 1, 1)

    def _uniform(self, low: float, high: float, count: int) -> Tensor:
        generator = self._generator
        return low + (high - low) * torch.rand(count, generator=generator, device=generator.device)

    def _drawn(self, below: int, count: int) -> Tensor:
        generator = self._generator
        return torch.randint(below, (count,), generator=generator, device=generator.device)


def _rms(sound: Tensor) -> Tensor:
    """Of [count, ..., samples] over all but the first: [count, 1, ...]."""
    axes = tuple(range(1, sound.dim()))
    return sound.square().mean(axes, keepdim=True).sqrt().clamp_min(QUIETEST)


def _level(sound: Tensor) -> Tensor:
    return sound / _rms(sound)


def read_speech(folder: Path, split: str, hours: float, workers: int) -> Tensor:
    """The clips of a split one after another, int16 [samples], at most so many hours.

    They are drawn over the whole list, so that a limit leaves out no source.
    """
    lines = (folder / "metadata.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["split"] == split]
    order = np.random.default_rng(SEED).permutation(len(rows))
    total = np.cumsum([rows[index]["seconds"] for index in order])
    kept = order[: 1 + int(np.searchsorted(total, hours * 3600))]
    with ThreadPoolExecutor(workers) as pool:
        clips = list(pool.map(lambda index: _read(folder / rows[index]["file"]), kept))
    if not clips:
        raise SystemExit(f"{folder}: no clips of the split {split!r} in metadata.jsonl")
    return torch.from_numpy(np.concatenate(clips))


def _read(path: Path) -> Sound:
    return _stored(audio.read(path, RATE)[0])


def _stored(sound: npt.NDArray[np.floating]) -> Sound:
    """As int16, with the peak at full scale."""
    peak = float(np.abs(sound).max(initial=1e-6))
    return np.round(sound / peak * 32767).astype(np.int16)


@functools.cache
def load_music(path: Path) -> Any:
    """The module that makes music and rooms: ``render`` and ``reverb``."""
    spec = importlib.util.spec_from_file_location("separator_music", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path}: no Python file; give --music another")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def render_piece(path: Path, seconds: float, seed: int) -> Sound:
    """A piece of music, int16 [2, samples]."""
    return _stored(load_music(path).render(seconds, seed, RATE))


def render_room(path: Path, seed: int) -> npt.NDArray[np.float32]:
    """What a click becomes in a room, [2, taps]."""
    click = np.zeros((2, round(ROOM_SECONDS * RATE)), dtype=np.float32)
    click[:, 0] = 1
    room: npt.NDArray[np.float32] = load_music(path).reverb(click, seed, RATE)
    return room


def make_music(path: Path, seconds: float, first: int, workers: int) -> Tensor:
    """Music of so many seconds in pieces, int16 [2, samples]; a seed a piece, from ``first``."""
    pieces = math.ceil(seconds / PIECE)
    length = min(seconds, PIECE)
    made = _spread(functools.partial(render_piece, path, length), first, pieces, workers)
    return torch.from_numpy(np.concatenate(made, axis=1))


def make_rooms(path: Path, count: int, workers: int) -> Tensor:
    """So many rooms, [count, 2, taps]."""
    made = _spread(functools.partial(render_room, path), SEED, count, workers)
    return torch.from_numpy(np.stack(made)) if made else torch.zeros(0, 2, 1)


def _spread(work: Any, first: int, count: int, workers: int) -> list[Any]:
    """``work`` for every seed from ``first``, over processes where there are several."""
    seeds = range(first, first + count)
    if workers < 2:
        return [work(seed) for seed in seeds]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(work, seeds))


def prepare(args: argparse.Namespace) -> tuple[Pool, Pool]:
    """The sound to train on and the sound held out, from the file of an earlier call if it fits.

    Rooms are made for training alone: the held-out mixes are dry, as the benchmark's.
    """
    wanted = [str(args.speech), args.speech_hours, str(args.music), args.music_hours, args.rooms]
    stored = args.checkpoint.with_name("pools.pt")
    if stored.is_file():
        pools = torch.load(stored)
        if pools["of"] == wanted:
            return Pool(*pools["train"]), Pool(*pools["held"])
    seconds, workers = args.music_hours * 3600, args.workers
    held = Pool(
        read_speech(args.speech, "held", args.speech_hours, workers),
        make_music(args.music, min(seconds, HELD_MUSIC * PIECE), SEED, workers),
        torch.zeros(0, 2, 1),
    )
    train = Pool(
        read_speech(args.speech, "train", args.speech_hours, workers),
        make_music(args.music, seconds, SEED + HELD_MUSIC, workers),
        make_rooms(args.music, args.rooms, workers),
    )
    with files.atomic(stored) as partial:
        made = {"train": _parts(train), "held": _parts(held)}
        torch.save({"of": wanted, **made}, partial)
    return train, held


def _parts(pool: Pool) -> list[Tensor]:
    return [pool.speech, pool.music, pool.rooms]


def make_model() -> HTDemucs:
    """The untrained model, always the same."""
    torch.manual_seed(SEED)
    model: HTDemucs = HTDemucs(SOURCES, samplerate=RATE, **SHAPE)
    return model


def loss_of(made: Tensor, wanted: Tensor) -> Tensor:
    """How far stems [count, sources, 2, samples] are off: samples, spectra, quiet parts of those.

    Both are in units of the mix, so that every example weighs about the same.
    """
    loss = functional.l1_loss(made, wanted)
    made, wanted = made.flatten(0, 2), wanted.flatten(0, 2)
    for size in STFT_SIZES:
        mine, theirs = _magnitudes(made, size), _magnitudes(wanted, size)
        spectral = functional.l1_loss(mine, theirs)
        quiet = functional.l1_loss(mine**COMPRESSED, theirs**COMPRESSED)
        loss = loss + SPECTRAL_WEIGHT * (spectral + quiet) / len(STFT_SIZES)
    return loss


def _magnitudes(sound: Tensor, size: int) -> Tensor:
    """Spectra of [n, samples]; never zero, where the root has no slope."""
    window = torch.hann_window(size, device=sound.device)
    bands = torch.stft(sound, size, size // 4, window=window, normalized=True, return_complex=True)
    return (bands.real.square() + bands.imag.square() + 1e-6).sqrt()


def si_sdr(made: Tensor, wanted: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB of [count, samples], one each."""
    scale = (made * wanted).sum(-1, keepdim=True) / wanted.square().sum(-1, keepdim=True)
    part = scale * wanted
    return 10 * torch.log10(part.square().sum(-1) / (made - part).square().sum(-1))


@torch.inference_mode()
def measure(model: HTDemucs, mixes: Tensor) -> tuple[float, float]:
    """Mean SI-SDR in dB of the voice in mixes [count, sources, 2, samples], and its gain.

    Both sides are averaged to mono, which is what the pipeline goes on with.
    """
    model.eval()
    whole = mixes.sum(1)
    made = torch.cat([model(part)[:, VOCALS] for part in torch.split(whole, 8)]).mean(1)
    voice = mixes[:, VOCALS].mean(1)
    reached = si_sdr(made, voice)
    gain = reached - si_sdr(whole.mean(1), voice)
    return float(reached.mean()), float(gain.mean())


def rate_at(step: int, steps: int) -> float:
    """Share of the learning rate: up, level, and down to nothing over the last steps."""
    left = (steps - step) / (COOL_DOWN * steps)
    return min(1.0, (step + 1) / WARM_UP, left)


@dataclass
class Run:
    """What training goes on from: the model, its optimizer and the next step."""

    model: HTDemucs
    optimizer: torch.optim.Optimizer
    step: int = 0

    def save(self, path: Path) -> None:
        """Write the checkpoint in parts that are small enough to travel: PATH, PATH.1, ..."""
        whole = io.BytesIO()
        states = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**states, "step": self.step}, whole)
        data = whole.getbuffer()
        for part, first in zip(_part_names(path), range(0, len(data), PART), strict=False):
            with files.atomic(part) as partial:
                partial.write_bytes(data[first : first + PART])

    def load(self, path: Path, device: str) -> None:
        """Take up the checkpoint, if there is one."""
        parts = list(itertools.takewhile(Path.is_file, _part_names(path)))
        if not parts:
            return
        whole = io.BytesIO(b"".join(part.read_bytes() for part in parts))
        found = torch.load(whole, device)
        self.model.load_state_dict(found["model"])
        self.optimizer.load_state_dict(found["optimizer"])
        self.step = found["step"]


def _part_names(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.count(1):
        yield path.with_name(f"{path.name}.{number}")


def start(device: str, checkpoint: Path) -> Run:
    """A run from its checkpoint, or from the beginning."""
    model = make_model().to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=RATE_OF_LEARNING,
        betas=(0.9, 0.99),
        weight_decay=WEIGHT_DECAY,
        fused=device == "cuda",
    )
    run = Run(model, optimizer)
    run.load(checkpoint, device)
    return run


def learn(run: Run, stems: Tensor, steps: int) -> Tensor:
    """One step on stems [count, sources, 2, samples]; returns the loss."""
    run.model.train()
    for group in run.optimizer.param_groups:
        group["lr"] = RATE_OF_LEARNING * rate_at(run.step, steps)
    device = stems.device.type
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        made = run.model(stems.sum(1))
    loss = loss_of(made.float(), stems)
    run.optimizer.zero_grad()
    torch.autograd.backward(loss)
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), CLIP_NORM)
    run.optimizer.step()
    run.step += 1
    return loss.detach()


def train(args: argparse.Namespace) -> Run:
    """Train until the steps are done or the minutes are over; then save."""
    started = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_flush_denormal(True)
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    pool, held = (part.to(device) for part in prepare(args))
    mixes = Mixer(held, HELD, SEGMENT).batch(args.held_mixes, SEED)
    mixer = Mixer(pool, Recipe(), SEGMENT)
    run = start(device, args.checkpoint)
    log = Log(args.checkpoint.with_name("log.jsonl"), started)
    log.say(f"{device}: ready, at step {run.step} of {args.steps}")
    losses: list[Tensor] = []
    while run.step < args.steps and time.perf_counter() - started < 60 * args.minutes:
        losses.append(learn(run, mixer.batch(args.batch, run.step), args.steps))
        if run.step % args.log_every == 0:
            log.losses(run.step, losses)
        if run.step % args.measure_every == 0:
            log.measured(run.step, *measure(run.model, mixes))
            run.save(args.checkpoint)
    log.measured(run.step, *measure(run.model, mixes))
    run.save(args.checkpoint)
    write_model(run.model, args.output)
    log.say(f"wrote {args.output / NAME}.th and {args.checkpoint}")
    return run


class Log:
    """Prints what happens, and keeps the figures as JSON lines."""

    def __init__(self, path: Path, started: float) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._started = path, started

    def say(self, text: str) -> None:
        """A line with the seconds since the start."""
        print(f"{time.perf_counter() - self._started:7.1f} s  {text}", flush=True)

    def losses(self, step: int, losses: list[Tensor]) -> None:
        """The mean of the losses since the last time; empties the list."""
        loss = float(torch.stack(losses).mean())
        losses.clear()
        if not math.isfinite(loss):
            raise SystemExit(f"step {step}: the loss is {loss}; go on from the checkpoint")
        self.say(f"step {step}: loss {loss:.4f}")
        self._keep({"step": step, "loss": loss})

    def measured(self, step: int, reached: float, gain: float) -> None:
        """The held-out figures in dB."""
        self.say(f"step {step}: held out, SI-SDR {reached:.2f} dB, gain {gain:.2f} dB")
        self._keep({"step": step, "si_sdr": reached, "si_sdr_gain": gain})

    def _keep(self, row: dict[str, float]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def write_model(model: Any, folder: Path) -> None:
    """Save what ``demucs --repo FOLDER`` loads, in half precision."""
    args, kwargs = model._init_args_kwargs
    state = {name: value.to("cpu", torch.half) for name, value in model.state_dict().items()}
    with files.atomic(folder / f"{NAME}.th") as partial:
        torch.save({"klass": HTDemucs, "args": args, "kwargs": kwargs, "state": state}, partial)


def build_parser() -> argparse.ArgumentParser:
    """The options, with defaults for a large card."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("speech", type=Path, help="folder of clips with a metadata.jsonl")
    add("-o", "--output", type=Path, default=HERE, help=f"folder that {NAME}.th is written to")
    add("--checkpoint", type=Path, default=Path("work/demucs-small/checkpoint.pt"))
    add("--music", type=Path, default=HERE.parent / "data" / "music.py", help="makes music, rooms")
    add("--minutes", type=float, default=8, help="how long this call may train, its start included")
    add("--steps", type=int, default=5000, help="of all calls; the last of them cool down")
    add("--batch", type=int, default=64, help="examples a step")
    add("--speech-hours", type=float, default=8, help="of clips to hold in memory")
    add("--music-hours", type=float, default=2, help="of music to make")
    add("--rooms", type=int, default=ROOMS, help="rooms to make")
    add("--held-mixes", type=int, default=HELD_MIXES, help="examples to measure on")
    add("--log-every", type=int, default=100, help="steps between lines of the log")
    add("--measure-every", type=int, default=1000, help="steps between measurements, checkpoints")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes that prepare")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    train(build_parser().parse_args(argv))


if __name__ == "__main__":
    main()
