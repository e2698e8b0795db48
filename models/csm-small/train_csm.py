"""Train the small CSM on codes made once by the small codec.

    python models/csm-small/train_csm.py CODES.npz CODEC -o RUN --steps 4000 --minutes 9

One call trains for so many minutes; the next goes on from where it ended. RUN then holds the
model's folder (``model/``) and the checkpoint. A row of a batch is a conversation: one to three
clips of one speaker, of which all are learnt. So the model hears, two times out of three, what a
voice said before, and speaks on in it: that is how a reference clip steers it.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from transformers import (
    CsmConfig,
    CsmForConditionalGeneration,
    CsmProcessor,
    MimiModel,
    PreTrainedTokenizerFast,
)

from vc_common import csm, files, objective
from vc_common.errors import InputError

sys.path.append(str(Path(__file__).resolve().parent.parent / "mimi-small"))
sys.path.append(str(Path(__file__).resolve().parent.parent / "csm-micro"))
import csm_format
import runs

SEED = 20260202


@dataclass(frozen=True)
class Size:
    """The shape of backbone and depth decoder, and how many positions a batch may have."""

    hidden: int
    layers: int
    heads: int
    key_heads: int
    inner: int
    depth_hidden: int
    depth_layers: int
    depth_heads: int
    depth_key_heads: int
    depth_inner: int
    positions: int


SIZES = {
    "small": Size(384, 7, 6, 2, 1024, 256, 4, 4, 2, 768, 32_768),
    "lean": Size(320, 5, 5, 1, 896, 192, 3, 3, 1, 640, 32_768),
    "toy": Size(64, 2, 4, 2, 128, 32, 1, 2, 1, 64, 1_024),
}

PEAK, WARM_UP, DECAY = 1e-3, 500, 0.05  # learning rate, steps, weight decay
TURNS = 3  # the most clips of a conversation
DEEP = 1 / 8  # of the frames the depth decoder learns, drawn anew at every step
NO_TEXT = 0.05  # of the clips are learnt without their text
POOL = 16  # batches drawn together, so that rows of like length meet
LOG_EVERY = 50
SHARD = "15MB"
SHARED = (
    "depth_decoder.model.embed_tokens.weight",
    "backbone_model.embed_tokens.embed_audio_tokens.weight",
)


@dataclass(frozen=True)
class Clip:
    """A clip ready to be laid into rows.

    ``ids`` [positions] with its text, ``silent_ids`` without; ``codes`` [frames + 1, codebooks]
    with the closing frame of zeros.
    """

    ids: Tensor
    silent_ids: Tensor
    codes: Tensor


Voices = dict[str, list[Clip]]  # by speaker


@dataclass
class Run:
    """Everything that one step changes, and the place in the data."""

    whole: csm.Csm
    optimizer: torch.optim.Optimizer
    steps: int
    step: int = 0
    pool: int = 0
    batch: int = 0  # of the pool: the next one to learn

    @property
    def learner(self) -> nn.Module:
        model: nn.Module = self.whole.model
        return model

    def state(self) -> dict[str, Any]:
        return {
            "model": {
                name: value
                for name, value in self.learner.state_dict().items()
                if not elsewhere(name)
            },
            "optimizer": self.optimizer.state_dict(),
            "place": [self.step, self.pool, self.batch],
        }

    def load(self, state: dict[str, Any]) -> None:
        report = self.learner.load_state_dict(state["model"], strict=False)
        strange = [name for name in report.missing_keys if not elsewhere(name)]
        if strange or report.unexpected_keys:
            raise InputError("the checkpoint is of another size; give a new --output")
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.pool, self.batch = state["place"]


def elsewhere(name: str) -> bool:
    """Whether a checkpoint needs no weight of this name: the codec's, or a second name's."""
    return name.startswith("codec_model.") or name == SHARED[1]


def make_config(size: Size, codec: Any, tokenizer: PreTrainedTokenizerFast) -> CsmConfig:
    books, codes = codec.num_quantizers, codec.codebook_size
    begin, _, pad, sound, sound_end = tokenizer.convert_tokens_to_ids(list(csm_format.SPECIAL))
    shared = {"num_codebooks": books, "vocab_size": codes + 3}
    return CsmConfig(
        **shared,
        text_vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.key_heads,
        max_position_embeddings=2048,
        bos_token_id=begin,
        pad_token_id=pad,
        audio_token_id=sound,
        audio_eos_token_id=sound_end,
        codebook_eos_token_id=0,
        codebook_pad_token_id=codes + 2,
        codec_config=codec.to_dict(),
        depth_decoder_config=shared
        | {
            "backbone_hidden_size": size.hidden,
            "hidden_size": size.depth_hidden,
            "intermediate_size": size.depth_inner,
            "num_hidden_layers": size.depth_layers,
            "num_attention_heads": size.depth_heads,
            "num_key_value_heads": size.depth_key_heads,
            "max_position_embeddings": books + 1,
        },
    )


def begin(size: Size, codec_folder: Path, steps: int, device: str) -> Run:
    """A new model around the codec, which does not learn."""
    torch.manual_seed(SEED)
    codec: Any = MimiModel.from_pretrained(codec_folder, dtype=torch.float32)
    processor = csm_format.make_processor()
    model: Any = CsmForConditionalGeneration(make_config(size, codec.config, processor.tokenizer))
    model.codec_model = codec.requires_grad_(False)
    csm.tie(model)
    model.to(device).train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": DECAY},
        {"params": [weight for weight in weights if weight.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, PEAK, betas=(0.9, 0.95), fused=device == "cuda")
    return Run(csm.Csm(model, processor, "csm-small"), optimizer, steps)


def read_codes(path: Path, processor: CsmProcessor, split: str) -> Voices:
    """The clips of one split by speaker, from the file that encode_clips.py writes."""
    voices: Voices = {}
    with np.load(path) as stored:
        columns = (stored[name].tolist() for name in ("text", "speaker", "split"))
        parts = np.split(stored["codes"], np.cumsum(stored["frames"])[:-1])
        for codes, text, speaker, where in zip(parts, *columns, strict=True):
            if where == split:
                voices.setdefault(speaker, []).append(make_clip(processor, text, codes))
    if not voices:
        raise InputError(f"{path}: has no clip of split {split!r}")
    return dict(sorted(voices.items()))


def make_clip(processor: CsmProcessor, text: str, codes: Any) -> Clip:
    ids, silent = (
        torch.from_numpy(csm.prompt(processor, [], said, len(codes))).to(torch.int32)
        for said in (text, "")
    )
    closing = np.zeros((1, codes.shape[1]), dtype=codes.dtype)
    return Clip(ids, silent, torch.from_numpy(np.concatenate([codes, closing])))


def conversation(clips: list[Clip], chance: torch.Generator) -> list[Clip]:
    """One to three of one speaker's clips."""
    turns = 1 + int(torch.randint(0, TURNS, (1,), generator=chance))
    drawn = torch.randint(0, len(clips), (turns,), generator=chance).tolist()
    return [clips[index] for index in drawn]


def draw_pool(voices: Voices, positions: int, pool: int) -> list[list[list[Clip]]]:
    """Batches of conversations, each of at most so many positions with its padding.

    A voice is drawn by the square root of its number of clips: one of many must not drown those
    of few.
    """
    chance = runs.seeded(SEED, pool)
    speakers = list(voices.values())
    shares = torch.tensor([len(clips) ** 0.5 for clips in speakers])
    rows: list[tuple[int, list[Clip]]] = []
    total = 0
    while total < POOL * positions:
        speaker = int(torch.multinomial(shares, 1, generator=chance))
        row = conversation(speakers[speaker], chance)
        rows.append((sum(len(clip.ids) for clip in row), row))
        total += rows[-1][0]
    rows.sort(key=lambda row: row[0])
    batches: list[list[list[Clip]]] = [[]]
    for length, row in rows:
        if length * (len(batches[-1]) + 1) > positions and batches[-1]:
            batches.append([])
        batches[-1].append(row)
    order = torch.randperm(len(batches), generator=chance).tolist()
    return [batches[index] for index in order]


def lay(rows: list[list[Clip]], config: CsmConfig, chance: torch.Generator) -> objective.Batch:
    """Conversations beside each other, padded on the right; all their frames are learnt."""
    ids, codes = [], []
    for row in rows:
        wordless = (torch.rand(len(row), generator=chance) < NO_TEXT).tolist()
        spelt = (
            clip.silent_ids if mute else clip.ids for clip, mute in zip(row, wordless, strict=True)
        )
        ids.append(torch.cat(list(spelt)))
        codes += [clip.codes for clip in row]
    padded = nn.utils.rnn.pad_sequence(ids, batch_first=True).long()
    lengths = torch.tensor([len(row) for row in ids])
    real = torch.arange(padded.shape[1]) < lengths[:, None]
    heard = (padded == config.audio_token_id) | (padded == config.audio_eos_token_id)
    frames = torch.cat(codes).long()
    # The closing frame is always learnt deeply: a model that misses it does not stop.
    deep = (torch.rand(len(frames), generator=chance) < DEEP) | ~frames.any(1)
    places = (heard & real).flatten().nonzero()[:, 0]
    return objective.Batch(padded, frames, places, deep.nonzero()[:, 0])


def batches(run: Run, voices: Voices, positions: int) -> Iterator[objective.Batch]:
    """Batch after batch, from the run's place on, which moves with them."""
    config = run.whole.model.config
    while True:
        drawn = draw_pool(voices, positions, run.pool)
        while run.batch < len(drawn):
            rows = drawn[run.batch]
            chance = runs.seeded(SEED + 1, 1000 * run.pool + run.batch)
            run.batch += 1
            yield lay(rows, config, chance)
        run.pool, run.batch = run.pool + 1, 0


def reduced(device: str) -> AbstractContextManager[Any]:
    """bfloat16 where it is fast."""
    return torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda")


def train_step(run: Run, batch: objective.Batch) -> tuple[Tensor, Tensor]:
    """One step; the losses of backbone and depth decoder."""
    runs.set_rate(run.optimizer, PEAK * runs.rate_at(run.step, run.steps, WARM_UP))
    with reduced(run.whole.model.device.type):
        backbone, depth = objective.mean_losses(run.whole, batch)
    run.optimizer.zero_grad()
    torch.autograd.backward(backbone + depth)
    clip_grad_norm_(run.learner.parameters(), 1.0)
    run.optimizer.step()
    run.step += 1
    return backbone.detach(), depth.detach()


@torch.no_grad()
def validate(run: Run, voices: Voices, size: Size) -> dict[str, float]:
    """Mean losses on voices that never train, in conversations as training has them."""
    run.learner.eval()
    totals = torch.zeros(2)
    drawn = draw_pool(voices, size.positions, -1)[:POOL]
    for index, rows in enumerate(drawn):
        batch = lay(rows, run.whole.model.config, runs.seeded(SEED, index))
        with reduced(run.whole.model.device.type):
            losses = objective.mean_losses(run.whole, batch)
        totals += torch.stack(losses).float().cpu()
    run.learner.train()
    backbone, depth = (totals / len(drawn)).tolist()
    return {"step": run.step, "backbone": round(backbone, 4), "depth": round(depth, 4)}


def save_model(run: Run, folder: Path) -> None:
    """Write the folder that CSM loads from, in bfloat16 and in files that travel."""
    model: Any = run.whole.model
    model.generation_config.update(do_sample=True, temperature=0.9, top_k=50)
    model.depth_decoder.generation_config.update(do_sample=True, temperature=0.9, top_k=50)
    with files.atomic_folder(folder) as partial:
        model.save_pretrained(partial)
        run.whole.processor.save_pretrained(partial)
        rewrite_weights(partial)
        for file in partial.iterdir():
            file.chmod(0o644)  # safetensors writes for its owner alone


def rewrite_weights(folder: Path) -> None:
    """Round the weights, and save what backbone and depth decoder share under both names.

    transformers 5.17 neither ties them while loading nor reads a config that says it should.
    """
    weights: dict[str, Tensor] = {}
    for file in folder.glob("*.safetensors*"):
        if file.suffix == ".safetensors":
            weights |= load_file(file)
        file.unlink()
    weights = {name: value.to(torch.bfloat16) for name, value in weights.items()}
    weights[SHARED[1]] = weights[SHARED[0]].clone()
    save_torch_state_dict(weights, folder, max_shard_size=SHARD)
    config = files.read_json(folder / "config.json")
    rounded = {"tie_word_embeddings": False, "dtype": "bfloat16"}
    files.write_json(folder / "config.json", config | rounded)


def train(run: Run, voices: Voices, held: Voices, size: Size, args: argparse.Namespace) -> None:
    """Step until the run or the call is over, then leave everything where the next one finds it."""
    clock = runs.Clock(args.minutes)
    began, before, frames = time.perf_counter(), run.step, 0
    source = batches(run, voices, size.positions)
    while run.step < run.steps and not clock.over():
        batch = next(source)
        backbone, depth = train_step(run, batch)
        frames += len(batch.codes)
        if run.step % LOG_EVERY == 0 or run.step == run.steps:
            seconds = time.perf_counter() - began
            print(
                f"step {run.step}/{run.steps} backbone {backbone:.3f} depth {depth:.3f} "
                f"({(run.step - before) / seconds:.2f} steps/s, {frames / seconds:.0f} frames/s)",
                flush=True,
            )
        if clock.save_due():
            runs.save(run.state(), args.output)
    said = validate(run, held, size)
    print(f"held-out: {json.dumps(said)}")
    with (args.output / "validation.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps(said) + "\n")
    runs.save(run.state(), args.output)
    carried = runs.save_to_carry(run.state(), args.output)
    save_model(run, args.output / "model")
    print(f"{args.output}: step {run.step} of {run.steps}; carry/ is {carried / 1e6:.1f} MB")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("codes", type=Path, help="what encode_clips.py wrote")
    parser.add_argument("codec", type=Path, help="folder of the MimiModel that made the codes")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the run's folder")
    parser.add_argument("--size", choices=SIZES, default="lean")
    parser.add_argument("--steps", type=int, default=4_000, help="of the whole run")
    parser.add_argument("--minutes", type=float, default=9.0, help="of this call")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def main(argv: list[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    torch.set_flush_denormal(True)
    torch.backends.cuda.matmul.allow_tf32 = True
    size = SIZES[args.size]
    run = begin(size, args.codec, args.steps, args.device)
    state = runs.load(args.output)
    if state:
        run.load(state)
    voices = read_codes(args.codes, run.whole.processor, "train")
    held = read_codes(args.codes, run.whole.processor, "held")
    model = run.whole.model
    depth = sum(weight.numel() for weight in model.depth_decoder.parameters())
    every = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    frames = sum(len(clip.codes) for clips in voices.values() for clip in clips)
    hours = frames / run.whole.frame_rate / 3600
    print(
        f"{every / 1e6:.2f} M parameters, {depth / 1e6:.2f} M of them the depth decoder's; "
        f"{hours:.2f} h of {len(voices)} voices to learn, from step {run.step}"
    )
    files.write_json(args.output / "arguments.json", {k: str(v) for k, v in vars(args).items()})
    train(run, voices, held, size, args)


if __name__ == "__main__":
    main()
