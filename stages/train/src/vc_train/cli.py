"""Fine-tune CSM with LoRA on a voice's codes; stopped runs go on where they were.

Checkpoints lie in OUTPUT.checkpoints until the adapter is written. After SIGTERM the command
leaves one and ends with 75; run again with the same settings, it goes on from there. With other
settings it starts anew and lets the old checkpoint be.

``vc-train merge ADAPTER -o FOLDER`` makes base and adapter one model that loads alone.
"""

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path

from vc_core import cli, log
from vc_csm.training import merge, presets
from vc_speech.speakers import DEFAULT_ENCODER

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
    _learning(parser.add_argument_group("training").add_argument)
    _adapting(parser.add_argument_group("adapter").add_argument)
    _watching(parser.add_argument_group("validation").add_argument)
    _computing(parser.add_argument_group("computing").add_argument)
    return parser


def _learning(add: Callable[..., object]) -> None:
    add("--max-steps", type=positive, default=1000, help="optimizer steps")
    add("--epochs", type=natural_part, default=0.0, help="passes over the clips instead of steps")
    add("--batch-size", type=positive, default=2, help="clips of full length in a batch")
    add(
        "--gradient-accumulation",
        type=positive,
        default=8,
        help="batches in a step; times the batch size, the clips of a step",
    )
    add("--learning-rate", type=above_zero, default=2e-4, help="peak")
    add(
        "--schedule",
        choices=("cosine", "linear", "constant"),
        default="cosine",
        help="how the rate decays to 0 after the warm-up",
    )
    add("--warmup-steps", type=natural, default=20, help="steps of linear warm-up")
    add("--weight-decay", type=natural_part, default=0.01, help="AdamW's")
    add("--max-grad-norm", type=above_zero, default=1.0, help="longer gradients are scaled down")
    add(
        "--depth-fraction",
        type=share,
        default=0.25,
        help="share of frames, drawn anew at every step, that the depth decoder learns from",
    )
    add("--max-seconds", type=above_zero, default=10.0, help="longer clips are left out")
    add("--seed", type=natural, default=0, help="seed of weights, order and draws")


def _adapting(add: Callable[..., object]) -> None:
    add("--lora-r", type=positive, default=32, help="rank of the LoRA matrices")
    add("--lora-alpha", type=positive, default=32, help="the LoRA update is scaled by alpha / r")
    add("--lora-dropout", type=share, default=0.0, help="dropout before the LoRA matrices")
    add(
        "--targets",
        default="",
        help="regular expression of the modules that get LoRA; default: every projection of "
        "backbone and depth decoder; never the codec's",
    )


def _watching(add: Callable[..., object]) -> None:
    add("--eval-every", type=positive, default=100, help="steps between validations")
    add(
        "--samples",
        type=natural,
        default=8,
        help="validation sentences that are spoken and judged, to choose the checkpoint by; "
        "0: by validation loss",
    )
    add("--sample-every", type=positive, default=250, help="steps between spoken samples")
    add(
        "--patience",
        type=natural,
        default=5,
        help="validations without anything better before the run stops early; 0: never",
    )
    add("--whisper", default="package:whisper-base", help="Whisper that counts word errors")
    add("--encoder", default=DEFAULT_ENCODER, help="speaker encoder that judges the voice")
    add("--language", default="en", help="what the voice speaks, as ISO 639 code")
    add("--checkpoint-every", type=positive, default=100, help="steps between checkpoints")
    add("--log-every", type=positive, default=10, help="steps between log lines")


def _computing(add: Callable[..., object]) -> None:
    add("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where")
    add(
        "--backend",
        choices=("auto", "peft", "unsloth"),
        default="auto",
        help="auto is unsloth on CUDA where it is installed, peft elsewhere",
    )
    add(
        "--preset",
        choices=("auto", "none", *presets.NAMES),
        default="auto",
        help="how a step is cut into batches, and what else is left on auto, by GPU memory",
    )
    add(
        "--precision",
        choices=("auto", "fp32", "bf16", "fp16"),
        default="auto",
        help="auto is bf16 on GPUs, and for large models on CPUs, that have it; "
        "fp16 on other GPUs; else fp32",
    )
    add(
        "--quantize",
        choices=("auto", "none", "8bit", "4bit"),
        default="auto",
        help="the base's weights; auto is what the preset says",
    )
    add(
        "--gradient-checkpointing",
        choices=("auto", "on", "off"),
        default="auto",
        help="compute the layers twice to hold less of them; auto is what the preset says",
    )
    add(
        "--optimizer",
        choices=("auto", "adamw", "adamw8bit"),
        default="auto",
        help="auto is what the preset says, where bitsandbytes is there",
    )
    add(
        "--compile",
        choices=("auto", "on", "off"),
        default="auto",
        help="torch.compile; auto is on for long runs on CUDA with whole weights",
    )
    add(
        "--processes",
        type=positive,
        default=1,
        help="that train together, one a GPU of this machine",
    )
    add(
        "--self-test",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="seconds of tests and an estimate of time and memory before the first step",
    )


def positive(text: str) -> int:
    """Argument type: a whole number from 1."""
    return int(_number(text, int, lambda value: value >= 1, "a whole number from 1"))


def natural(text: str) -> int:
    """Argument type: a whole number from 0."""
    return int(_number(text, int, lambda value: value >= 0, "a whole number from 0"))


def natural_part(text: str) -> float:
    """Argument type: a number from 0."""
    return _number(text, float, lambda value: 0 <= value < math.inf, "a number from 0")


def above_zero(text: str) -> float:
    """Argument type: a number above 0."""
    return _number(text, float, lambda value: 0 < value < math.inf, "a number above 0")


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


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["merge"]:
        return cli.run(merge.build_parser(), merge.work, arguments[1:])

    def work(args: argparse.Namespace) -> dict[str, object] | None:
        from vc_csm.training import session

        return session.run(args, arguments)

    return cli.run(build_parser(), work, arguments)
