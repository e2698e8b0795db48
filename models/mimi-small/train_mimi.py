"""Train the small codec: Mimi's format at a twelfth of its size, from a folder of speech.

    python models/mimi-small/train_mimi.py DATA -o RUN --steps 8000 --minutes 9

One call trains for so many minutes; the next goes on from where it ended. RUN then holds the
codec's folder (``model/``), samples to listen to, and the checkpoint. The run has four parts:

1. the encoder and decoder learn around the latents, with noise in place of the quantizer;
2. k-means fills the codebooks, which from then on follow what they hear;
3. the adversary joins;
4. encoder and codebooks rest, and the decoder learns the quantized sound.
"""

import argparse
import json
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adversary
import quantizer
import runs
import sound
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from transformers import MimiConfig, MimiModel

from vc_common import audio, files, mimi

SEED = 20260201
RATE = audio.TTS_RATE
RATIOS = [8, 6, 5, 4]  # and a last halving: 1920 samples a frame, 12.5 frames a second
FRAME = 1920  # samples, as CsmProcessor assumes for every CSM


@dataclass(frozen=True)
class Size:
    """The codec's shape, and what one step hears."""

    filters: int
    hidden: int
    layers: int
    heads: int
    books: int
    codes: int
    dim: int  # of a code's vector
    judge: int  # channels of the adversary
    crops: int
    frames: int  # of a crop: long, for the transformers are to see what they will see in use
    judged: int  # frames of a crop that the adversary sees


SIZES = {
    "small": Size(24, 256, 2, 4, 12, 512, 128, 32, 32, 96, 16),
    "lean": Size(16, 192, 2, 4, 12, 512, 64, 32, 32, 96, 16),
    "toy": Size(4, 32, 1, 2, 4, 32, 16, 4, 2, 6, 2),
}

PEAK, ADVERSARY_PEAK, WARM_UP = 8e-4, 4e-4, 300  # learning rates, steps
# Where the parts of the run begin, as shares of its steps.
FILL_AT, ADVERSARY_AT, REST_AT = 0.02, 0.10, 0.75
MEL, PLEASING, FEATURES, COMMITMENT = 4.0, 1.0, 2.0, 0.25  # weights of the losses
NOISE = 0.1  # of the latents' scale, in the quantizer's place
FILL_BATCHES = 8
LOG_EVERY = 50
SAMPLES = 4


@dataclass
class Run:
    """Everything that one step changes."""

    codec: Any
    judge: adversary.Adversary
    optimizer: torch.optim.Optimizer
    judge_optimizer: torch.optim.Optimizer
    distance: adversary.MelDistance
    size: Size
    steps: int
    step: int = 0
    filled: bool = False
    resting: bool = False

    def state(self) -> dict[str, Any]:
        return {
            "codec": self.codec.state_dict(),
            "judge": self.judge.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "judge_optimizer": self.judge_optimizer.state_dict(),
            "step": self.step,
            "filled": self.filled,
            "resting": self.resting,
        }

    def load(self, state: dict[str, Any]) -> None:
        for part in ("codec", "judge", "optimizer", "judge_optimizer"):
            getattr(self, part).load_state_dict(state[part])
        self.step, self.filled = state["step"], state["filled"]
        for book in quantizer.books(self.codec):
            book._embed = None
        if state["resting"]:
            rest(self)


def make_config(size: Size) -> MimiConfig:
    return MimiConfig(
        hidden_size=size.hidden,
        num_filters=size.filters,
        upsampling_ratios=RATIOS,
        num_quantizers=size.books,
        codebook_size=size.codes,
        codebook_dim=size.dim,
        vector_quantization_hidden_dimension=size.dim,
        upsample_groups=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        intermediate_size=4 * size.hidden,
    )


def begin(size: Size, steps: int, device: str) -> Run:
    torch.manual_seed(SEED)
    codec: Any = MimiModel(make_config(size))
    quantizer.reserve(codec)
    soften(codec)
    judge = adversary.Adversary(size.judge)
    codec, judge = codec.to(device), judge.to(device)
    keep_paddings_at_hand(codec)
    how: dict[str, Any] = {"betas": (0.8, 0.99), "fused": device == "cuda"}
    return Run(
        codec,
        judge,
        torch.optim.AdamW(codec.parameters(), PEAK, weight_decay=1e-3, **how),
        torch.optim.AdamW(judge.parameters(), ADVERSARY_PEAK, weight_decay=1e-3, **how),
        adversary.MelDistance(RATE).to(device),
        size,
        steps,
    )


def soften(codec: Any) -> None:
    """Begin quietly: fresh weights make a noise far louder than any speech."""
    with torch.no_grad():
        getattr(codec.decoder, "decoder_seanet", codec.decoder).layers[-1].conv.weight.mul_(0.02)


def keep_paddings_at_hand(codec: Any) -> None:
    """Mimi computes its paddings from small tensors: on a GPU each would make the host wait."""
    for module in codec.modules():
        for name in ("stride", "kernel_size", "padding_total"):
            if isinstance(getattr(module, name, None), Tensor):
                setattr(module, name, getattr(module, name).cpu())


def to_latents(codec: Any, heard: Tensor) -> Tensor:
    """Latents [batch, hidden, frames] of [batch, samples], in transformers of any version."""
    if hasattr(codec.encoder, "encoder_seanet"):
        latents: Tensor = codec.encoder(heard[:, None]).latents
    else:
        hidden = codec.encoder(heard[:, None]).transpose(1, 2)
        latents = codec.downsample(codec.encoder_transformer(hidden)[0].transpose(1, 2))
    return latents


def to_sound(codec: Any, latents: Tensor) -> Tensor:
    """Sound [batch, samples] of latents, in transformers of any version."""
    if hasattr(codec.decoder, "decoder_seanet"):
        made: Tensor = codec.decoder(latents).audio_values
    else:
        hidden = codec.upsample(latents).transpose(1, 2)
        made = codec.decoder(codec.decoder_transformer(hidden)[0].transpose(1, 2))
    return made[:, 0]


def reduced(device: str) -> AbstractContextManager[Any]:
    """bfloat16 where it is fast."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda")


def draw(run: Run, numbers: Tensor, chance: torch.Generator) -> Tensor:
    return sound.crops(numbers, run.size.frames * FRAME, run.size.crops, chance)


def fill(run: Run, numbers: Tensor) -> None:
    """Give the codebooks their first centres."""
    chance = runs.seeded(SEED, -1 - run.step)
    with torch.no_grad():
        latents = [
            to_latents(run.codec, draw(run, numbers, chance)).float() for _ in range(FILL_BATCHES)
        ]
    quantizer.fill(run.codec, torch.cat(latents), chance)
    run.filled = True


def close(run: Run, numbers: Tensor) -> None:
    """Settle what the codes mean: from here on only the decoder learns."""
    chance = runs.seeded(SEED, -2 - run.step)
    codes = []
    with torch.no_grad():
        for _ in range(FILL_BATCHES):
            latents = to_latents(run.codec, draw(run, numbers, chance))
            codes.append(quantizer.quantize(run.codec, latents.float(), None, learn=False).codes)
    quantizer.close_zero(run.codec, torch.cat(codes, dim=1))
    rest(run)


def rest(run: Run) -> None:
    """Freeze the way from sound to codes, and the codes' own vectors."""
    names = ("encoder.", "encoder_transformer.", "downsample.", "quantizer.")
    for name, weight in run.codec.named_parameters():
        if name.startswith(names):
            weight.requires_grad_(False)
            weight.grad = None
    run.resting = True


def train_step(run: Run, numbers: Tensor) -> dict[str, Tensor]:
    """One step of the codec, and of the adversary where it has joined; the losses by name."""
    device = numbers.device.type
    if not run.filled and run.step >= FILL_AT * run.steps:
        fill(run, numbers)
    if not run.resting and run.step >= REST_AT * run.steps:
        close(run, numbers)
    judged = run.step >= ADVERSARY_AT * run.steps
    share = runs.rate_at(run.step, run.steps, WARM_UP)
    runs.set_rate(run.optimizer, PEAK * share)
    runs.set_rate(run.judge_optimizer, ADVERSARY_PEAK * share)

    chance = runs.seeded(SEED, run.step)
    wanted = draw(run, numbers, chance)
    with reduced(device):
        latents = to_latents(run.codec, wanted)
    latents, commitment = through_quantizer(run, latents.float(), chance)
    with reduced(device):
        made = to_sound(run.codec, latents)
    made = made.float()
    losses = {"mel": run.distance(made, wanted), "commitment": commitment}
    loss = MEL * losses["mel"] + COMMITMENT * commitment
    if judged:
        first, last = judged_span(run.size, chance)
        views = (wanted[:, first:last], made[:, first:last])
        losses["adversary"] = teach_judge(run, *views)
        pleasing, features = ask_judge(run, *views)
        losses |= {"pleasing": pleasing, "features": features}
        loss = loss + PLEASING * pleasing + FEATURES * features
    run.optimizer.zero_grad()
    torch.autograd.backward(loss)
    clip_grad_norm_(run.codec.parameters(), 1.0)
    run.optimizer.step()
    quantizer.reserve(run.codec)
    run.step += 1
    return {name: value.detach() for name, value in losses.items()}


def through_quantizer(run: Run, latents: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """What the decoder gets, and the commitment loss."""
    if not run.filled:
        noise = torch.randn(latents.shape, generator=chance).to(latents.device)
        return latents + NOISE * latents.detach().std() * noise, latents.new_zeros(())
    learn = not run.resting
    out = quantizer.quantize(run.codec, latents, chance if learn else None, learn)
    return out.latents, out.commitment


def judged_span(size: Size, chance: torch.Generator) -> tuple[int, int]:
    """The samples that the adversary hears: it sees details, and needs no whole crop."""
    first = int(torch.randint(0, size.frames - size.judged + 1, (1,), generator=chance))
    return first * FRAME, (first + size.judged) * FRAME


def teach_judge(run: Run, wanted: Tensor, made: Tensor) -> Tensor:
    with reduced(wanted.device.type):
        views = run.judge(wanted), run.judge(made.detach())
    loss = adversary.adversary_loss(*views)
    run.judge_optimizer.zero_grad()
    torch.autograd.backward(loss)
    clip_grad_norm_(run.judge.parameters(), 1.0)
    run.judge_optimizer.step()
    return loss


def ask_judge(run: Run, wanted: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """The two losses that the adversary has for the codec."""
    run.judge.requires_grad_(False)
    with reduced(wanted.device.type):
        real, views = run.judge(wanted), run.judge(made)
    run.judge.requires_grad_(True)
    return adversary.pleasing_loss(views), adversary.feature_loss(real, views)


@torch.no_grad()
def validate(run: Run, held: Tensor) -> dict[str, Any]:
    """The spectral distance on voices that never train, and how far the codebooks are used."""
    codec, chance = run.codec.eval(), runs.seeded(SEED, 0)
    wanted = draw(run, held, chance)
    latents = to_latents(codec, wanted)
    said: dict[str, Any] = {"step": run.step}
    if run.filled:
        out = quantizer.quantize(codec, latents, None, learn=False)
        latents = out.latents
        said["bits"] = [round(bits, 2) for bits in quantizer.entropy(out.codes, run.size.codes)]
        said["zero_frames"] = int((out.codes == 0).all(0).sum())
    said["mel"] = round(float(run.distance(to_sound(codec, latents), wanted)), 4)
    codec.train()
    return said


def save_model(run: Run, folder: Path) -> None:
    """Write a MimiModel's folder, its weights rounded to bfloat16.

    The codebooks go with a usage of one, so that their sums are their centres. Where they still
    learn, the frame of zeros is not out of reach yet: the folder is for listening.
    """
    torch.manual_seed(SEED)
    codec: Any = MimiModel(make_config(run.size))
    codec.load_state_dict({name: part.cpu() for name, part in run.codec.state_dict().items()})
    for book in quantizer.books(codec):
        quantizer.set_centres(book, book.embed.clone())
    codec.to(torch.bfloat16).save_pretrained(folder, max_shard_size="15MB")
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors writes for its owner alone


def write_samples(run: Run, held: Tensor, folder: Path) -> None:
    """Some seconds before and after the codec, as the saved folder has it."""
    codec: Any = MimiModel.from_pretrained(folder / "model", dtype=torch.float32).eval()
    wanted = sound.crops(held.cpu(), run.size.frames * FRAME, SAMPLES, runs.seeded(SEED, 0))
    for index, heard in enumerate(wanted.numpy()):
        audio.write(folder / "samples" / f"{index}-original.wav", heard, RATE)
        if run.filled:
            coded = mimi.decode(codec, mimi.encode(codec, heard))
            audio.write(folder / "samples" / f"{index}-codec.wav", coded, RATE)


def train(run: Run, numbers: Tensor, held: Tensor, folder: Path, clock: runs.Clock) -> None:
    """Step until the run or the call is over, then leave everything where the next one finds it."""
    began, before = time.perf_counter(), run.step
    while run.step < run.steps and not clock.over():
        losses = train_step(run, numbers)
        if run.step % LOG_EVERY == 0 or run.step == run.steps:
            pace = (run.step - before) / (time.perf_counter() - began)
            shown = " ".join(f"{name} {float(value):.3f}" for name, value in losses.items())
            print(f"step {run.step}/{run.steps} {shown} ({pace:.2f} steps/s)", flush=True)
        if clock.save_due():
            runs.save(run.state(), folder)
    said = validate(run, held)
    print(f"held-out: {json.dumps(said)}")
    with (folder / "validation.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(said) + "\n")
    runs.save(run.state(), folder)
    carried = runs.save_to_carry(run.state(), folder)
    save_model(run, folder / "model")
    write_samples(run, held, folder)
    print(f"{folder}: step {run.step} of {run.steps}; carry/ is {carried / 1e6:.1f} MB")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path, help="folder with metadata.jsonl and its sound")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the run's folder")
    parser.add_argument("--size", choices=SIZES, default="lean")
    parser.add_argument("--steps", type=int, default=8_000, help="of the whole run")
    parser.add_argument("--minutes", type=float, default=9.0, help="of this call")
    parser.add_argument("--cache", type=Path, help="decoded samples (RUN/cache)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    torch.set_flush_denormal(True)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    clock = runs.Clock(args.minutes)
    numbers, clips = sound.open_cache(args.data, args.cache or args.output / "cache")
    run = begin(SIZES[args.size], args.steps, args.device)
    state = runs.load(args.output)
    if state:
        run.load(state)
    learnt = sound.of_split(numbers, clips, "train").to(args.device)
    held = sound.of_split(numbers, clips, "held").to(args.device)
    weights = sum(weight.numel() for weight in run.codec.parameters())
    judging = sum(weight.numel() for weight in run.judge.parameters())
    print(
        f"codec {weights / 1e6:.2f} M parameters, adversary {judging / 1e6:.2f} M, "
        f"{len(learnt) / RATE / 3600:.2f} h to learn, {len(held) / RATE / 60:.1f} min held out, "
        f"from step {run.step}"
    )
    files.write_json(args.output / "arguments.json", {k: str(v) for k, v in vars(args).items()})
    train(run, learnt, held, args.output, clock)


if __name__ == "__main__":
    main()
