"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from peft.helpers import disable_input_dtype_casting

from vc_core import log
from vc_core.errors import StageError, TryAgainError
from vc_csm import csm, objective
from vc_csm.training import data
from vc_csm.training.data import Clips, Drawn, Example
from vc_csm.training.listening import CsmListener
from vc_csm.training.settings import Settings
from vc_speech.training import checkpoint, choice
from vc_speech.training.checkpoint import Progress
from vc_speech.training.parallel import Group
from vc_speech.training.resources import out_of_memory
from vc_speech.training.rows import Row, finite
from vc_speech.training.stop import Stop
from vc_speech.training.trackers import Trackers

logger = log.get("train")

# Steps in a row whose loss is not a number, before the run ends; with fp16, which looks for the
# scale of its gradients, more.
BAD_STEPS, BAD_FP16_STEPS = 3, 12


@dataclass
class CsmProgress(Progress):
    """``budget`` is how many positions went into a batch, which memory may have lowered."""

    budget: int = 0


@dataclass
class Run:
    """A run: what learns, from what, how, with what, and how far it has come.

    ``trackers`` is None in all processes but the first; ``listener``, too, and where nobody
    listens.
    """

    model: csm.Csm
    clips: Clips
    settings: Settings
    optimizer: Any
    scaler: Any
    group: Group
    checkpoints: Path
    stop: Stop
    progress: CsmProgress
    listener: CsmListener | None = None
    trackers: Trackers | None = None


def resume(run: Run) -> bool:
    """Go back to the newest checkpoint; False where there is none."""
    found = checkpoint.newest(run.checkpoints)
    if found is None:
        return False
    run.progress, adapter, states = checkpoint.restore(found, run.group.device, CsmProgress)
    run.optimizer.load_state_dict(states["optimizer"])
    run.scaler.load_state_dict(states["scaler"])
    set_peft_model_state_dict(run.model.model, adapter)
    logger.info("going on from step %d (%s)", run.progress.step, found)
    return True


def train(run: Run) -> None:
    """Train the adapter from where the progress is, and leave it at its best.

    Raises TryAgainError after a checkpoint when stopped, StageError when the loss is not a
    number or when not even one clip fits the memory.
    """
    settings, progress, first = run.settings, run.progress, run.group.first
    drawn_steps = data.steps(run.clips.train, settings.clips_a_step, settings.seed, progress.step)
    bar = log.progress(total=settings.max_steps, initial=progress.step, desc="train", unit="step")
    clock = time.perf_counter() - progress.seconds
    if first and not progress.rows and run.clips.validation:
        judge(run, {"step": 0, "seconds": 0.0})
    bad, stopped, ended = 0, False, False

    for indices in drawn_steps:
        finished = progress.step >= settings.max_steps or choice.worn(
            settings.patience, progress.rows
        )
        stopped, ended = run.group.any(run.stop.asked, finished)
        if stopped or ended:
            break
        row = step(run, indices)
        if row is None:
            continue
        bad = bad + 1 if row.get("skipped") else 0
        if bad == (BAD_FP16_STEPS if run.scaler.is_enabled() else BAD_STEPS):
            raise StageError(_not_a_number(row, bad))
        progress.step += 1
        progress.seconds = time.perf_counter() - clock
        row["seconds"] = round(progress.seconds, 3)
        if first:
            follow(run, row)
        bar.update()
    bar.close()

    if stopped and not ended:
        raise TryAgainError(_stopped(run))
    if first:  # the others have no validations to choose by, and are done
        take_best(run)


def step(run: Run, indices: Sequence[int]) -> Row | None:
    """One optimizer step over the clips of ``indices``; None when stopped before it was complete.

    Where memory does not suffice the batches are halved, and the step is done again.
    """
    seed = run.settings.seed_of(run.progress.step)
    while True:
        torch.manual_seed(seed)
        generator = torch.Generator().manual_seed(seed)
        drawn = data.draw(run.clips.train, indices, run.settings.depth_fraction, generator)
        try:
            sums, short = accumulate(run, data.pack(drawn, run.progress.budget)), False
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            sums, short = None, True
        stopped, short = run.group.any(sums is None and not short, short)
        if stopped:
            run.optimizer.zero_grad()
            return None
        if not short:
            assert sums is not None
            return update(run, sums)
        run.optimizer.zero_grad()
        halve(run.progress, run.clips)


def accumulate(run: Run, batches: Sequence[Sequence[Drawn]]) -> torch.Tensor | None:
    """Add up the gradients of this process's share of the batches; None when stopped meanwhile.

    Returns [backbone loss, depth loss, frames]. Every frame weighs the same, wherever it stands:
    the gradient is that of one large batch, however it is cut.
    """
    made = [batch_of(run.model, batch) for batch in batches]
    frames = sum(len(batch.codes) for batch in made)
    deep = sum(len(batch.deep) for batch in made) * (made[0].codes.shape[1] - 1)
    sums = torch.zeros(3, device=csm.base_of(run.model.model).device)
    sums[2] = frames / run.group.size
    run.model.model.train()
    for batch in made[run.group.rank :: run.group.size]:
        with autocast(run.model, run.settings):
            backbone, depth = objective.losses(run.model, batch)
        backbone, depth = backbone / frames, depth / deep
        run.scaler.scale(backbone + depth).backward()
        sums += torch.stack([backbone.detach(), depth.detach(), sums.new_zeros(())])
        if run.stop.asked:
            return None
    return sums


def update(run: Run, sums: torch.Tensor) -> Row:
    """Sum over the group, clip, and let the optimizer step; a step that is no number is left out.

    Returns the step's row.
    """
    weights = trained(run.model)
    for weight in weights:
        if weight.grad is None:  # a process without a batch of its own
            weight.grad = torch.zeros_like(weight)
    run.group.sum([sums, *(weight.grad for weight in weights if weight.grad is not None)])
    for parameters in run.optimizer.param_groups:
        parameters["lr"] = run.settings.rate(run.progress.step)
    run.scaler.unscale_(run.optimizer)
    norm = float(torch.nn.utils.clip_grad_norm_(weights, run.settings.max_grad_norm))
    backbone, depth, frames = sums.tolist()
    row = {
        "step": run.progress.step + 1,
        "loss": backbone + depth,
        "backbone_loss": backbone,
        "depth_loss": depth,
        "learning_rate": run.settings.rate(run.progress.step),
        "gradient_norm": norm,
        "frames": round(frames),
    }
    if math.isfinite(backbone + depth + norm):
        run.scaler.step(run.optimizer)
    else:
        # With fp16 a gradient too large for it is part of finding the scale.
        row = {**finite(row), "skipped": True}
        level = logger.debug if run.scaler.is_enabled() else logger.warning
        level("step %d left out: its loss or gradient is not a number", row["step"])
    run.scaler.update()
    run.optimizer.zero_grad()
    return row


def follow(run: Run, row: Row) -> None:
    """After a step: validate, log, track and checkpoint where it is due."""
    last = run.progress.step == run.settings.max_steps
    due = run.progress.step % run.settings.eval_every == 0 or _samples_due(
        run.settings, run.progress.step
    )
    if run.clips.validation and (last or due):
        judge(run, row)
    else:
        run.progress.rows.append(row)
        _track(run, row)
    if "skipped" not in row and (last or run.progress.step % run.settings.log_every == 0):
        tell(row, run.settings.max_steps)
    if last or run.progress.step % run.settings.checkpoint_every == 0:
        checkpoint.save(run.checkpoints, run.progress, adapter_state(run.model), states(run))


def judge(run: Run, row: Row) -> None:
    """Validate, listen where it is due, and store the adapter if it may become the voice."""
    backbone, depth = validate(run)
    row |= {
        "val_loss": backbone + depth,
        "val_backbone_loss": backbone,
        "val_depth_loss": depth,
    }
    heard = ""
    if run.listener and run.trackers and _samples_due(run.settings, row["step"]):
        samples = run.checkpoints / "samples"
        row |= run.listener.listen(run.model, row["step"], samples, run.trackers)
        heard = (
            f"; spoken: similarity {row['similarity']:.2f}, word errors {row['wer']:.0%}, "
            f"ends by itself {row['stop_rate']:.0%}"
        )
    run.progress.rows.append(row)
    _track(run, row)
    logger.info("step %d: validation loss %.4f%s", row["step"], row["val_loss"], heard)
    steps = {good["step"] for good in choice.eligible(run.progress.validations)}
    checkpoint.keep(run.checkpoints, row["step"], adapter_state(run.model), steps)


def validate(run: Run) -> tuple[float, float]:
    """Mean loss over all frames of the validation clips: backbone's and depth decoder's."""
    while True:
        try:
            return mean_losses(run.model, run.clips.validation, run.settings, run.progress.budget)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        halve(run.progress, run.clips)


@torch.no_grad()
def mean_losses(
    model: csm.Csm, clips: Sequence[Example], settings: Settings, budget: int
) -> tuple[float, float]:
    """Mean losses over all frames of clips. Draws nothing."""
    model.model.eval()
    sums, frames, codebooks = [0.0, 0.0], 0, 1
    for packed in data.pack([Drawn(example, None) for example in clips], budget):
        batch = batch_of(model, packed)
        with autocast(model, settings):
            for index, loss in enumerate(objective.losses(model, batch)):
                sums[index] += loss.item()
        frames += len(batch.codes)
        codebooks = batch.codes.shape[1]
    return sums[0] / frames, sums[1] / (frames * (codebooks - 1))


def take_best(run: Run) -> None:
    """Put the chosen checkpoint's weights into the adapter; without any choice the last stay."""
    best = choice.chosen(run.progress.validations)
    if best is None or best["step"] == run.progress.step:
        return
    adapter = checkpoint.stored(run.checkpoints, best["step"])
    if adapter is None:
        raise StageError(
            f"{run.checkpoints}: the adapter of step {best['step']}, the best one, was not stored; "
            "make room on the disk, remove this folder, and train again"
        )
    set_peft_model_state_dict(run.model.model, adapter)


def halve(progress: CsmProgress, clips: Clips) -> None:
    """Put half as much into a batch from now on; StageError when a clip alone is too much."""
    if progress.budget <= clips.longest:
        raise StageError(
            "out of memory with a single clip in a batch; use a smaller --preset, "
            "--quantize 4bit, --gradient-checkpointing on, or a lower --max-seconds"
        )
    progress.budget = max(clips.longest, progress.budget // 2)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    logger.warning(
        "out of memory: batches of at most %d positions from now on, more of them in a step",
        progress.budget,
    )


def batch_of(model: csm.Csm, packed: Sequence[Drawn]) -> objective.Batch:
    """The model's batch of clips that go together."""
    return objective.make_batch(
        model, [item.example.clip for item in packed], [item.kept for item in packed]
    )


def trained(model: csm.Csm) -> list[torch.nn.Parameter]:
    """The adapter's weights."""
    return [weight for weight in model.model.parameters() if weight.requires_grad]


def adapter_state(model: csm.Csm) -> dict[str, torch.Tensor]:
    """A copy of the adapter's weights, on the CPU, under the names that PEFT saves them by."""
    state = get_peft_model_state_dict(model.model, save_embedding_layers=False)
    return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}


@contextlib.contextmanager
def autocast(model: csm.Csm, settings: Settings) -> Iterator[None]:
    """Arithmetic of 16 bits where the settings say so.

    PEFT is then kept from casting every LoRA layer's input to the adapter's float32 first.
    """
    device = csm.base_of(model.model).device.type
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(settings.precision)
    if kind is None:
        yield
        return
    with disable_input_dtype_casting(model.model), torch.autocast(device, kind):
        yield


def states(run: Run) -> dict[str, Any]:
    """What a checkpoint needs beside the adapter."""
    return {"optimizer": run.optimizer.state_dict(), "scaler": run.scaler.state_dict()}


def tell(row: Row, steps: int) -> None:
    """One line of how it goes."""
    logger.info(
        "step %d/%d: loss %.4f (backbone %.4f, depth %.4f), rate %.2e, %.0f s",
        *(row["step"], steps, row["loss"], row["backbone_loss"], row["depth_loss"]),
        *(row["learning_rate"], row["seconds"]),
    )


def _samples_due(settings: Settings, step: int) -> bool:
    due = step % settings.sample_every == 0 or step == settings.max_steps
    return due and settings.samples > 0


def _track(run: Run, row: Row) -> None:
    if run.trackers:
        run.trackers.row(row)


def _not_a_number(row: Row, bad: int) -> str:
    return (
        f"the loss or its gradient was not a number {bad} steps in a row, up to step "
        f"{row['step']}; lower --learning-rate, or use --precision fp32"
    )


def _stopped(run: Run) -> str:
    """Leave a checkpoint and say where."""
    said = f"stopped by SIGTERM after step {run.progress.step} of {run.settings.max_steps}; "
    if run.group.first:
        checkpoint.save(run.checkpoints, run.progress, adapter_state(run.model), states(run))
    place = checkpoint.newest(run.checkpoints)
    return said + (
        f"run the same command again to go on from {place}" if place else "nothing was kept"
    )
