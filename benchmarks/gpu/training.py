"""Training CSM: our loop, the public recipe, and plain transformers + peft at its best.

All learn from clips of the same lengths, drawn once. A frame counts once, however often it is
padded; the first third of the steps is left out of the rates.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import csm_sizes
import flops
import numpy as np
import speech

from gpu import table
from gpu.bench import Bench
from vc_core import audio
from vc_csm import codes, csm, mimi, objective
from vc_csm.options import CsmTraining

if TYPE_CHECKING:
    import torch

TOKENS_A_SECOND = 4  # of text that CSM's own tokenizer makes of English speech, about
RECIPE_BATCH, RECIPE_ACCUMULATION = 2, 4  # as the recipe is published
# Shares of the frames that the depth decoder learns from: all, as the others do, and the usual.
USUAL_DEPTH = CsmTraining.model_fields["depth_fraction"].default
WAYS = {table.OURS: (1.0,), table.COMPILED: (1.0, USUAL_DEPTH)}
CLIPS = 64
SEED = 20260110


def measure(bench: Bench) -> None:
    """A row for every way to train, with its share of what the device multiplies at most."""
    coded = prepare(bench)
    rate = flops.matrix_rate(bench.device, bench.scale.matrix)
    for name, depths in WAYS.items():
        for depth in depths:
            with bench.attempt(f"{name}, depth {depth:.4g}"):
                compiled = "on" if name == table.COMPILED else "off"
                run(bench, name, coded, depth, rate, "--compile", compiled)
    with bench.attempt(table.PLAIN):
        plain(bench, coded, rate)
    with bench.attempt(table.RECIPE):
        recipe(bench, rate)


def prepare(bench: Bench, seconds: tuple[float, float] | None = None) -> Path:
    """A file of random codes: so many clips of ``seconds`` at shortest and longest."""
    shortest, longest = seconds or bench.scale.clip_seconds
    model = bench.model()
    codec = mimi.load(str(model), "cpu")
    config = codec.config
    info = codes.CodecInfo(
        *(mimi.fingerprint(codec), config.num_quantizers, config.codebook_size, config.frame_rate),
        *(config.sampling_rate, str(model)),
    )
    draw = np.random.default_rng(SEED)
    clips = []
    for index, length in enumerate(draw.uniform(shortest, longest, CLIPS)):
        shape = (round(length * config.frame_rate), config.num_quantizers)
        numbers = draw.integers(1, config.codebook_size, shape).astype(np.int16)
        clips.append(codes.CodedClip(text_of(length), numbers, f"clip-{index}", "train"))
    path = bench.folder / f"codes-{shortest:g}-{longest:g}.parquet"
    codes.write(path, clips, info)
    return path


def text_of(seconds: float) -> str:
    """As many tokens as CSM's tokenizer would make of what is said in that time.

    The stand-in's tokenizer knows little more than letters, so these are letters.
    """
    return ("go " * 40)[: max(2, round(seconds * TOKENS_A_SECOND))].strip()


def run(bench: Bench, name: str, coded: Path, depth: float, rate: float, *more: str) -> None:
    """Our own command, in this process."""
    output = bench.folder / "trained"
    train(bench, coded, output, "--depth-fraction", str(depth), "--preset", "none", *more)
    learnt = read_rows(output / "training.jsonl")
    keep(bench, name, depth, learnt, rate, coded)


def train(bench: Bench, coded: Path, output: Path, *more: str) -> None:
    """``vc-train`` over the file of codes; RuntimeError when it does not succeed."""
    from vc_train.cli import main

    scale = bench.scale
    code = main(
        [
            *(str(coded), "--base-model", str(bench.model()), "--device", bench.device),
            *("--max-steps", str(scale.steps), "--batch-size", str(scale.clips_a_step)),
            *("--gradient-accumulation", "1", "--checkpoint-every", str(10**9)),
            *("--backend", "peft", "--no-self-test", "--samples", "0"),
            *(*more, "-o", str(output)),
        ]
    )
    if code:
        raise RuntimeError(f"vc-train ended with {code}; its words are in the log")


def keep(
    bench: Bench, name: str, depth: float, learnt: list[tuple[float, int]], rate: float, coded: Path
) -> None:
    """A row from when steps ended, in seconds, and how many frames each learnt."""
    speed = frames_a_second(learnt)
    needed = operations(bench, coded, depth)
    figures: dict[str, Any] = {"depth": depth, "frames/s": round(speed, 1)}
    figures |= {"of matrix rate": round(speed * needed / rate, 4), "peak GB": bench.peak_gb()}
    bench.row(name, **figures)


def frames_a_second(learnt: list[tuple[float, int]]) -> float:
    """The median step's rate, without the first third."""
    rates = [
        frames / (after - before) for (before, _), (after, frames) in itertools.pairwise(learnt)
    ]
    return statistics.median(rates[len(learnt) // 3 :] or rates)


def operations(bench: Bench, coded: Path, depth: float) -> float:
    """What the model needs for a frame of these clips, forward and backward."""
    from recipe import RANK
    from transformers import CsmConfig

    clips, _ = codes.read(coded)
    processor = csm.load_processor(str(csm_sizes.MICRO))
    positions = statistics.mean(csm.positions(processor, clip) for clip in clips)
    frames = statistics.mean(len(clip.codes) + 1 for clip in clips)
    config = CsmConfig.from_pretrained(bench.model())
    return flops.per_frame(config, positions - frames, frames, RANK, depth)


def read_rows(path: Path) -> list[tuple[float, int]]:
    """When each step ended and what it learnt, from what training wrote."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [(row["seconds"], row["frames"]) for row in rows if row["step"] > 0]


def plain(bench: Bench, coded: Path, rate: float) -> None:
    """The model's own forward pass over stored codes, as fast as transformers and peft make it.

    Batches are padded to their longest clip, adapters are bf16 as the base is, so that nothing is
    cast, and the codec never runs.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from recipe import RANK
    from transformers import CsmForConditionalGeneration

    dtype = torch.bfloat16 if bench.cuda else torch.float32
    base = CsmForConditionalGeneration.from_pretrained(bench.model(), dtype=dtype)
    base = base.to(bench.device)
    csm.tie(base)
    lora = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=csm.LORA_TARGETS)
    model = get_peft_model(base, lora, autocast_adapter_dtype=False).train()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=2e-4, fused=bench.cuda)
    held = csm.Csm(model, csm.load_processor(str(csm_sizes.MICRO)), "plain")
    clips, _ = codes.read(coded)
    taken = itertools.cycle(clips)
    learnt = []
    for _ in range(bench.scale.steps):
        some = list(itertools.islice(taken, bench.scale.clips_a_step))
        inputs, labels, frames = _inputs(held, some)
        model(inputs_embeds=inputs, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        flops.wait(bench.device)
        learnt.append((time.perf_counter(), frames))
    keep(bench, table.PLAIN, 1.0, learnt, rate, coded)


def _inputs(held: csm.Csm, clips: list[codes.CodedClip]) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Embeddings, labels [clips, positions, codebooks] and how many frames there are to learn."""
    import torch

    batch = objective.make_batch(held, clips, even=False)
    base = csm.base_of(held.model)
    with torch.no_grad():
        inputs = csm.embed(base, batch.ids, batch.codes, batch.places)
    labels = torch.full((batch.ids.numel(), batch.codes.shape[1]), objective.NOTHING)
    labels[batch.places] = batch.codes
    labels = labels.view(*batch.ids.shape, -1).to(inputs.device)
    return inputs, labels, len(batch.codes)


def recipe(bench: Bench, rate: float) -> None:
    """The public recipe, at the batch that it is published with."""
    import recipe as public

    folder = bench.folder / "dataset"
    draw = np.random.default_rng(SEED)
    lengths = draw.uniform(*bench.scale.clip_seconds, CLIPS)
    clips = [
        speech.Clip(f"clip-{index}", text_of(length), noise(draw, length))
        for index, length in enumerate(lengths)
    ]
    speech.write_dataset(folder, train=clips)
    output = bench.folder / "recipe"
    args = argparse.Namespace(
        dataset=folder,
        model=bench.model(),
        clips=bench.scale.recipe_steps * RECIPE_BATCH * RECIPE_ACCUMULATION,
        batch_size=RECIPE_BATCH,
        gradient_accumulation=RECIPE_ACCUMULATION,
        precision="bf16" if bench.cuda else "fp32",
        seed=0,
        output=output,
    )
    trainer, clock = public.train(args)
    public.write(output, trainer, clock, RECIPE_ACCUMULATION)
    coded = bench.folder / "codes-{:g}-{:g}.parquet".format(*bench.scale.clip_seconds)
    keep(bench, table.RECIPE, 1.0, read_rows(output / "training.jsonl"), rate, coded)


def noise(draw: np.random.Generator, seconds: float) -> audio.Samples:
    """Sound of that length: what the codec makes of it does not matter, that it runs does."""
    return (0.1 * draw.standard_normal(round(seconds * audio.TTS_RATE))).astype(np.float32)
