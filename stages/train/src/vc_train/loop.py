"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import contextlib
import itertools
import math
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict

from vc_common import csm, log, objective
from vc_common.errors import StageError, TryAgainError
from vc_train import checkpoint, data
from vc_train.checkpoint import Progress
from vc_train.settings import Settings

logger = log.get("train")

Row = dict[str, Any]


class Stop:
    """Asked by SIGTERM: end after a checkpoint instead of at once."""

    def __init__(self) -> None:
        self.asked = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGTERM for the length of the block."""
        before = signal.signal(signal.SIGTERM, self._ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        self.asked = True


def train(
    model: csm.Csm, clips: data.Clips, settings: Settings, checkpoints: Path, stop: Stop
) -> Progress:
    """Train the adapter of ``model`` to the last step and leave it at its best.

    Best is the lowest validation loss seen; without validation clips, the last step. Goes on
    from a checkpoint of the same settings in ``checkpoints``. Raises TryAgainError after a
    checkpoint when stopped, StageError when the loss is not a number.
    """
    weights = [weight for weight in model.model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, weight_decay=settings.weight_decay)
    progress = Progress()
    found = checkpoint.newest(checkpoints)
    if found:
        device = str(csm.base_of(model.model).device)
        progress, adapter = checkpoint.restore(found, optimizer, device)
        set_peft_model_state_dict(model.model, adapter)
        logger.info("going on from step %d (%s)", progress.step, found)
    batches = data.batches(clips.train, settings.batch_size, settings.seed)
    batches = itertools.islice(batches, progress.step * settings.gradient_accumulation, None)
    bar = log.progress(total=settings.max_steps, initial=progress.step, desc="train", unit="step")
    clock = time.perf_counter() - progress.seconds

    if not found and clips.validation:
        judge(model, clips.validation, settings, progress, {"step": 0, "seconds": 0.0})

    while progress.step < settings.max_steps:
        drawn = list(itertools.islice(batches, settings.gradient_accumulation))
        row = take_step(model, optimizer, drawn, settings, progress.step, stop=stop)
        if row is None:
            break
        progress.step += 1
        progress.seconds = time.perf_counter() - clock
        row["seconds"] = round(progress.seconds, 3)
        last = progress.step == settings.max_steps
        if clips.validation and (last or progress.step % settings.eval_every == 0):
            judge(model, clips.validation, settings, progress, row)
        else:
            progress.rows.append(row)
        if last or progress.step % settings.log_every == 0:
            tell(row, settings.max_steps)
        if not last and progress.step % settings.checkpoint_every == 0:
            checkpoint.save(checkpoints, progress, adapter_state(model), optimizer)
        bar.update()
    bar.close()

    if progress.step < settings.max_steps:
        place = checkpoint.save(checkpoints, progress, adapter_state(model), optimizer)
        raise TryAgainError(
            f"stopped by SIGTERM after step {progress.step} of {settings.max_steps}; "
            f"run the same command again to go on from {place}"
        )
    if progress.best:
        set_peft_model_state_dict(model.model, progress.best)
    return progress


def take_step(
    model: csm.Csm,
    optimizer: Any,
    drawn: Sequence[Sequence[csm.Utterance]],
    settings: Settings,
    step: int,
    *,
    stop: Stop,
) -> Row | None:
    """One optimizer step over several batches; None when stopped before it was complete.

    Each batch's mean loss is weighted by its share of the step's frames, so that the gradient is
    that of one large batch, however it is cut.
    """
    torch.manual_seed(settings.seed_of(step))
    draw = torch.Generator().manual_seed(settings.seed_of(step))
    made = [
        objective.make_batch(model, batch, data.depth_frames(batch, settings.depth_fraction, draw))
        for batch in drawn
    ]
    counts = [objective.targets(batch) for batch in made]
    frames, deep_frames = (sum(count) for count in zip(*counts, strict=True))
    backbone_loss, depth_loss = 0.0, 0.0
    model.model.train()
    for batch, (backbone_count, depth_count) in zip(made, counts, strict=True):
        with autocast(model, settings):
            backbone, depth = objective.losses(model, batch)
        backbone = backbone * (backbone_count / frames)
        depth = depth * (depth_count / deep_frames)
        (backbone + depth).backward()
        backbone_loss += backbone.item()
        depth_loss += depth.item()
        if stop.asked:
            optimizer.zero_grad()
            return None
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    norm = float(torch.nn.utils.clip_grad_norm_(weights, settings.max_grad_norm))
    if not math.isfinite(backbone_loss + depth_loss + norm):
        raise StageError(
            f"the loss is not a number at step {step + 1} (backbone {backbone_loss:g}, depth "
            f"{depth_loss:g}, gradient {norm:g}); lower --learning-rate or use --precision fp32"
        )
    for group in optimizer.param_groups:
        group["lr"] = settings.rate(step)
    optimizer.step()
    optimizer.zero_grad()
    return {
        "step": step + 1,
        "loss": backbone_loss + depth_loss,
        "backbone_loss": backbone_loss,
        "depth_loss": depth_loss,
        "learning_rate": settings.rate(step),
        "gradient_norm": norm,
        "frames": frames,
    }


def judge(
    model: csm.Csm,
    clips: Sequence[csm.Utterance],
    settings: Settings,
    progress: Progress,
    row: Row,
) -> None:
    """Add the validation loss to a row and the row to the progress; keep the adapter if best."""
    backbone, depth = validate(model, clips, settings)
    seen = [past["val_loss"] for past in progress.rows if "val_loss" in past]
    row |= {
        "val_loss": backbone + depth,
        "val_backbone_loss": backbone,
        "val_depth_loss": depth,
    }
    progress.rows.append(row)
    logger.info("step %d: validation loss %.4f", row["step"], row["val_loss"])
    if row["val_loss"] < min(seen, default=math.inf):
        progress.best_step = row["step"]
        progress.best = {name: value.clone() for name, value in adapter_state(model).items()}


@torch.no_grad()
def validate(
    model: csm.Csm, clips: Sequence[csm.Utterance], settings: Settings
) -> tuple[float, float]:
    """Mean loss over all frames of the clips: backbone's and depth decoder's. Draws nothing."""
    model.model.eval()
    ordered = sorted(clips, key=lambda clip: len(clip.codes))
    sums, frames = [0.0, 0.0], 0
    for first in range(0, len(ordered), settings.batch_size):
        batch = objective.make_batch(model, ordered[first : first + settings.batch_size])
        count, _ = objective.targets(batch)
        with autocast(model, settings):
            for index, loss in enumerate(objective.losses(model, batch)):
                sums[index] += loss.item() * count
        frames += count
    return sums[0] / frames, sums[1] / frames


def adapter_state(model: csm.Csm) -> dict[str, torch.Tensor]:
    """The adapter's weights, on the CPU, under the names that PEFT saves them by."""
    state = get_peft_model_state_dict(model.model, save_embedding_layers=False)
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}


def autocast(model: csm.Csm, settings: Settings) -> Any:
    """bf16 arithmetic where the settings say so."""
    device = csm.base_of(model.model).device.type
    return torch.autocast(device, torch.bfloat16, enabled=settings.precision == "bf16")


def tell(row: Row, steps: int) -> None:
    """One line of how it goes."""
    logger.info(
        "step %d/%d: loss %.4f (backbone %.4f, depth %.4f), rate %.2e, %.0f s",
        *(row["step"], steps, row["loss"], row["backbone_loss"], row["depth_loss"]),
        *(row["learning_rate"], row["seconds"]),
    )
