"""Fine-tune CSM with LoRA on a voice's codes; stopped runs go on where they were.

Checkpoints lie in OUTPUT.checkpoints until the adapter is written. After SIGTERM the command
leaves one and ends with 75; run again with the same settings, it goes on from there. With other
settings it starts anew and lets the old checkpoint be.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vc_common import cli, log

logger = log.get("train")


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.parser("vc-train", __doc__)
    parser.add_argument("codes", type=cli.existing, help="the voice's codes, from vc-encode")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the adapter's folder")
    parser.add_argument("--base-model", required=True, help="CSM to start from: folder or Hub id")
    parser.add_argument("--voice", default="", help="name of the voice, for the card")
    parser.add_argument("--consent", default="", help="who consented, how and when; in the card")
    parser.add_argument("--checkpoints", type=Path, help="folder; default: OUTPUT.checkpoints")
    add = parser.add_argument_group("training").add_argument
    add("--max-steps", type=positive, default=1000, help="optimizer steps")
    add("--batch-size", type=positive, default=2, help="clips in a batch")
    add("--gradient-accumulation", type=positive, default=8, help="batches in an optimizer step")
    add("--learning-rate", type=above_zero, default=2e-4, help="peak; decays to 0 by a cosine")
    add("--warmup-steps", type=natural, default=20, help="steps of linear warm-up")
    add("--weight-decay", type=float, default=0.01, help="AdamW's")
    add("--max-grad-norm", type=above_zero, default=1.0, help="longer gradients are scaled down")
    add("--lora-r", type=positive, default=32, help="rank of the LoRA matrices")
    add("--lora-alpha", type=positive, default=32, help="the LoRA update is scaled by alpha / r")
    add("--lora-dropout", type=share, default=0.0, help="dropout before the LoRA matrices")
    add(
        "--depth-fraction",
        type=share,
        default=1.0,
        help="share of frames, drawn anew at every step, that the depth decoder learns from",
    )
    add("--max-seconds", type=above_zero, default=10.0, help="longer clips are left out")
    add("--seed", type=natural, default=0, help="seed of weights, order and draws")
    add("--eval-every", type=positive, default=100, help="steps between validations")
    add("--checkpoint-every", type=positive, default=100, help="steps between checkpoints")
    add("--log-every", type=positive, default=10, help="steps between log lines")
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where")
    add(
        "--precision",
        choices=("auto", "fp32", "bf16"),
        default="auto",
        help="auto is bf16 on GPUs that have it, fp32 elsewhere",
    )
    return parser


def positive(text: str) -> int:
    """Argument type: a whole number from 1."""
    return int(_number(text, int, lambda value: value >= 1, "a whole number from 1"))


def natural(text: str) -> int:
    """Argument type: a whole number from 0."""
    return int(_number(text, int, lambda value: value >= 0, "a whole number from 0"))


def above_zero(text: str) -> float:
    """Argument type: a number above 0."""
    return _number(text, float, lambda value: value > 0, "a number above 0")


def share(text: str) -> float:
    """Argument type: a number from 0 to 1."""
    return _number(text, float, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def _number(
    text: str, kind: Callable[[str], float], fits: Callable[[float], bool], wanted: str
) -> float:
    """Read a number that fits, or say what is wanted instead."""
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not fits(value):
        raise argparse.ArgumentTypeError(f"{text!r}: must be {wanted}")
    return value


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Load, train, write; returns counts and losses."""
    import torch

    from vc_common import codes, csm, files, pretrained, records
    from vc_train import adapter, checkpoint, data, loop
    from vc_train.settings import Settings

    clips, codec = codes.read(args.codes)
    device = pretrained.choose_device(args.device)
    precision = args.precision
    if precision == "auto":
        can = device == "cuda" and torch.cuda.is_bf16_supported()
        precision = "bf16" if can else "fp32"
    # Subnormal numbers slow CPUs down and change nothing.
    torch.set_flush_denormal(True)
    # On a GPU bf16 weights halve the memory; PEFT keeps the adapter's own in float32.
    dtype = "bfloat16" if precision == "bf16" and device == "cuda" else "float32"
    base = csm.load(args.base_model, device, dtype)
    chosen = data.select(clips, codec, base, args.max_seconds)
    settings = Settings(
        base_model=args.base_model,
        base_weights=adapter.base_fingerprint(base),
        codes=files.sha256(args.codes)[:16],
        precision=precision,
        **{
            name: getattr(args, name)
            for name in Settings.__dataclass_fields__
            if name not in ("base_model", "base_weights", "codes", "precision")
        },
    )
    model = adapter.lay_over(base, settings)
    logger.info(
        "%d clips to train on, %d to validate on, %d too long; %d of %d numbers train; %s, %s",
        *(len(chosen.train), len(chosen.validation), chosen.too_long, adapter.trainable(model)),
        *(model.model.num_parameters(), device, precision),
    )
    if not chosen.validation:
        logger.warning("no validation clips: the last step's adapter is kept, whatever it learnt")
    root = args.checkpoints or args.output.with_name(args.output.name + ".checkpoints")
    checkpoints = root / settings.fingerprint()
    others = [place for place in root.glob("*") if place != checkpoints and place.is_dir()]
    if others and not checkpoint.newest(checkpoints):
        logger.warning("%s: checkpoints of other settings; starting anew beside them", root)

    stop = loop.Stop()
    with stop.listening():
        progress = loop.train(model, chosen, settings, checkpoints, stop)
    losses = [row["val_loss"] for row in progress.rows if "val_loss" in row]
    kept_step = settings.max_steps if progress.best_step is None else progress.best_step
    if kept_step == 0:
        logger.warning("validation loss never fell below the base's; the adapter changes nothing")
    figures = {
        "device": device,
        "clips": {
            "train": len(chosen.train),
            "validation": len(chosen.validation),
            "too_long": chosen.too_long,
        },
        "steps": progress.step,
        "kept_step": kept_step,
        "trainable": adapter.trainable(model),
        "training_seconds": round(progress.seconds, 1),
        "val_loss": {
            "first": losses[0] if losses else None,
            "best": min(losses, default=None),
            "last": losses[-1] if losses else None,
        },
    }
    if device == "cuda":
        figures["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated() / 1e6, 1)
    record = {
        "base_model": args.base_model,
        "voice": args.voice,
        "consent": args.consent,
        "settings": vars(settings),
        **figures,
        "peak_memory_mb": round(records.peak_memory_mb(), 1),
        "tokenizer": type(model.processor.tokenizer).__name__,
        "codec": codec.fingerprint,
        "versions": records.versions("vc-train"),
    }
    with files.atomic_folder(args.output) as partial:
        adapter.write(partial, model, record, progress.rows)
    checkpoint.discard(checkpoints)
    logger.info(
        "wrote %s (step %d of %d%s)",
        *(args.output, kept_step, progress.step),
        f", validation loss {losses[0]:.4f} to {min(losses):.4f}" if losses else "",
    )
    return figures


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
