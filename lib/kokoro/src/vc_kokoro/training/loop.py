"""The loop that fits the decoder, to be read from top to bottom."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vc_core import log
from vc_core.errors import StageError, TryAgainError
from vc_kokoro import losses
from vc_kokoro.losses import SpeakerDistance
from vc_kokoro.training import crops
from vc_kokoro.training.crops import Crop, Example
from vc_kokoro.training.fitted import Fitted
from vc_kokoro.training.settings import Settings
from vc_speech.training import checkpoint, choice
from vc_speech.training.checkpoint import Progress
from vc_speech.training.listening import Listener, Say
from vc_speech.training.parallel import Group
from vc_speech.training.rows import Row, finite
from vc_speech.training.stop import Stop
from vc_speech.training.trackers import Trackers

logger = log.get("train")

BAD_STEPS = 3  # in a row whose loss is not a number, before the run ends
VALIDATED = 3  # pieces of validation clips that the loss is measured on
OFFSET_DECAY = 0.01  # weight of the voice's distance to the start


@dataclass
class Run:
    """A run: what learns, the clips, the settings, and how far it has come.

    ``speaker`` is None where no speaker encoder takes part, ``listener`` where nobody listens;
    ``trackers`` in all processes but the first.
    """

    fitted: Fitted
    train: Sequence[Example]
    validation: Sequence[Example]
    settings: Settings
    optimizer: torch.optim.Optimizer
    speaker: SpeakerDistance | None
    group: Group
    checkpoints: Path
    stop: Stop
    progress: Progress
    say: Say
    listener: Listener | None = None
    trackers: Trackers | None = None


def resume(run: Run) -> bool:
    """Go back to the newest checkpoint; False where there is none."""
    found = checkpoint.newest(run.checkpoints)
    if found is None:
        return False
    device = str(run.fitted.device)
    run.progress, state, states = checkpoint.restore(found, device, Progress)
    run.optimizer.load_state_dict(states["optimizer"])
    run.fitted.restore(state)
    logger.info("going on from step %d (%s)", run.progress.step, found)
    return True


def train(run: Run) -> None:
    """Fit from where the progress is, and leave the model at its best.

    Raises TryAgainError after a checkpoint when stopped, StageError when the loss is no number.
    """
    settings, progress = run.settings, run.progress
    bar = log.progress(total=settings.max_steps, initial=progress.step, desc="train", unit="step")
    clock = time.perf_counter() - progress.seconds
    if run.group.first and not progress.rows and run.validation:
        judge(run, {"step": 0, "seconds": 0.0})
    bad = 0
    while progress.step < settings.max_steps:
        worn = choice.worn(settings.patience, progress.rows)
        stopped, ended = run.group.any(run.stop.asked, worn)
        if stopped:
            raise TryAgainError(stop(run))
        if ended:
            break
        row = step(run)
        bad = bad + 1 if row.get("skipped") else 0
        if bad == BAD_STEPS:
            raise StageError(
                f"the loss was not a number {bad} steps in a row, up to step {row['step']}; "
                "lower --learning-rate, or use --precision fp32"
            )
        progress.step += 1
        progress.seconds = time.perf_counter() - clock
        row["seconds"] = round(progress.seconds, 3)
        if run.group.first:
            follow(run, row)
        bar.update()
    bar.close()
    if run.group.first:  # the others have no validations to choose by, and are done
        take_best(run)


def step(run: Run) -> Row:
    """One optimizer step; returns its row. A step whose loss is no number is left out."""
    settings, number = run.settings, run.progress.step
    pieces = crops.drawn(
        run.train, settings.crops_a_step, settings.crop_seconds, settings.seed, number
    )
    groups = run.optimizer.param_groups
    weights = [weight for group in groups for weight in group["params"]]
    sums = torch.zeros(2, device=run.fitted.device)
    for index in range(run.group.rank, len(pieces), run.group.size):
        noise = torch.Generator(run.fitted.device).manual_seed(settings.seed_of(number) + index)
        spectral, speaker = distances(run, pieces[index], noise)
        loss = spectral + settings.speaker_weight * speaker
        loss = loss + OFFSET_DECAY * run.fitted.offset.pow(2).mean()
        torch.autograd.backward(loss / len(pieces))
        sums += torch.stack([spectral.detach(), speaker.detach()]) / len(pieces)
    for weight in weights:
        if weight.grad is None:  # a process without a piece of its own
            weight.grad = torch.zeros_like(weight)
    run.group.sum([sums, *(weight.grad for weight in weights if weight.grad is not None)])
    for group in groups:
        group["lr"] = settings.rate(number) * group["scale"]
    norm = float(torch.nn.utils.clip_grad_norm_(weights, settings.max_grad_norm))
    row = {
        "step": number + 1,
        "loss": float(sums[0] + settings.speaker_weight * sums[1]),
        "spectral_loss": float(sums[0]),
        "speaker_loss": float(sums[1]),
        "learning_rate": settings.rate(number),
        "gradient_norm": norm,
    }
    if math.isfinite(row["loss"] + norm):
        run.optimizer.step()
    else:
        row = {**finite(row), "skipped": True}
        logger.warning("step %d left out: its loss or gradient is not a number", number + 1)
    run.optimizer.zero_grad()
    return row


def distances(run: Run, piece: Crop, noise: torch.Generator) -> tuple[Tensor, Tensor]:
    """The two losses of a piece: in its spectra, and to the target's voice."""
    with autocast(run.fitted.device, run.settings):
        made, wanted = crops.rendered(run.fitted, piece, noise)
    spectral = losses.spectral(made, wanted)
    if run.speaker is None:
        return spectral, spectral.new_zeros(())
    return spectral, run.speaker(made)


def follow(run: Run, row: Row) -> None:
    """After a step: validate, log, track and checkpoint where it is due."""
    settings, number = run.settings, row["step"]
    last = number == settings.max_steps
    due = number % settings.eval_every == 0 or samples_due(settings, number)
    if run.validation and (last or due):
        judge(run, row)
    else:
        run.progress.rows.append(row)
        _track(run, row)
    if "skipped" not in row and (last or number % settings.log_every == 0):
        logger.info(
            "step %d/%d: loss %.4f (spectral %.4f, speaker %.4f), rate %.2e, %.0f s",
            *(number, settings.max_steps, row["loss"], row["spectral_loss"]),
            *(row["speaker_loss"], row["learning_rate"], row["seconds"]),
        )
    if last or number % settings.checkpoint_every == 0:
        save(run)


@torch.no_grad()
def judge(run: Run, row: Row) -> None:
    """Validate, listen where it is due, and store the state if it may become the voice."""
    pieces = [
        crops.crop(example, run.settings.crop_seconds, 0.5)
        for example in run.validation[:VALIDATED]
    ]
    found = [
        distances(run, piece, torch.Generator(run.fitted.device).manual_seed(index))
        for index, piece in enumerate(pieces)
    ]
    spectral, speaker = torch.tensor([[float(x) for x in both] for both in found]).mean(0).tolist()
    row |= {
        "val_loss": spectral + run.settings.speaker_weight * speaker,
        "val_spectral_loss": spectral,
        "val_speaker_loss": speaker,
    }
    if run.listener and run.trackers and samples_due(run.settings, row["step"]):
        row |= run.listener.listen(run.say, row["step"], run.checkpoints / "samples", run.trackers)
    run.progress.rows.append(row)
    _track(run, row)
    logger.info("step %d: validation loss %.4f%s", row["step"], row["val_loss"], heard(row))
    steps = {good["step"] for good in choice.eligible(run.progress.validations)}
    checkpoint.keep(run.checkpoints, row["step"], run.fitted.state(), steps)


def heard(row: Row) -> str:
    """What the judges heard, for a line of the log; "" where nobody listened."""
    if "similarity" not in row:
        return ""
    return f"; spoken: similarity {row['similarity']:.2f}, word errors {row['wer']:.0%}"


def take_best(run: Run) -> None:
    """Put the chosen checkpoint's weights back; without any choice the last stay."""
    best = choice.chosen(run.progress.validations)
    if best is None or best["step"] == run.progress.step:
        return
    state = checkpoint.stored(run.checkpoints, best["step"])
    if state is None:
        raise StageError(
            f"{run.checkpoints}: the state of step {best['step']}, the best one, was not stored; "
            "make room on the disk, remove this folder, and train again"
        )
    run.fitted.restore(state)


def save(run: Run) -> None:
    """Leave a checkpoint."""
    states = {"optimizer": run.optimizer.state_dict()}
    checkpoint.save(run.checkpoints, run.progress, run.fitted.state(), states)


def samples_due(settings: Settings, number: int) -> bool:
    """Whether sentences are spoken after a step."""
    due = number % settings.sample_every == 0 or number == settings.max_steps
    return due and number > 0 and settings.samples > 0


@contextlib.contextmanager
def autocast(device: torch.device, settings: Settings) -> Iterator[None]:
    """Arithmetic of 16 bits where the settings say so."""
    with torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16"):
        yield


def optimizer(groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Adam, quick to forget: a run is short."""
    return torch.optim.Adam(groups, lr=1.0, betas=(0.8, 0.95))


def _track(run: Run, row: Row) -> None:
    if run.trackers:
        run.trackers.row(row)


def stop(run: Run) -> str:
    """Leave a checkpoint and say where."""
    if run.group.first:
        save(run)
    return (
        f"stopped by SIGTERM after step {run.progress.step} of {run.settings.max_steps}; "
        f"run the same command again to go on from {checkpoint.newest(run.checkpoints)}"
    )
