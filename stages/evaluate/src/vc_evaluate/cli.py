"""Score a cloned voice on sentences that it never trained on.

Each sentence is spoken by the base model and by the base with its adapter, with and without the
reference as context. Beside the scores stand those of the speaker's own clips (the ceiling) and
of other people in the recordings (the floor).
"""

import argparse
from pathlib import Path
from typing import Any

from vc_core import cli
from vc_core.errors import InputError
from vc_speech import speakers, whisper

VARIANTS = ("base", "base+context", "lora", "lora+context")


def _variants(text: str) -> tuple[str, ...]:
    """Argument type: some of VARIANTS, in their order."""
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(wanted) - set(VARIANTS))
    if unknown or not wanted:
        known = ", ".join(VARIANTS)
        raise argparse.ArgumentTypeError(f"{text!r}: give some of {known}, with commas")
    return tuple(name for name in VARIANTS if name in wanted)


def build_parser() -> argparse.ArgumentParser:
    parser = cli.parser("vc-evaluate", __doc__)
    parser.add_argument("dataset", type=cli.existing, help="dataset folder, with data/*.parquet")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the scores, JSON")
    parser.add_argument("--base-model", required=True, help="CSM: a folder or Hub id")
    parser.add_argument("--adapter", type=cli.existing, required=True, help="LoRA adapter folder")
    parser.add_argument(
        "--reference", type=cli.existing, required=True, help="the target speaker alone: context"
    )
    parser.add_argument(
        "--reference-text",
        default="",
        help="what the reference says; default: the text in the .json beside it",
    )
    parser.add_argument(
        "--vocals",
        type=cli.existing,
        nargs="+",
        action="extend",
        default=[],
        help="separated recordings, where other speakers give the floor",
    )
    parser.add_argument(
        "--segments",
        type=cli.existing,
        nargs="+",
        action="extend",
        default=[],
        help="who speaks when in each of --vocals, in the same order",
    )
    parser.add_argument(
        "--speech-dir",
        type=Path,
        help="folder for what was spoken; default: 'evaluation' beside the output",
    )
    parser.add_argument("--variants", type=_variants, default=VARIANTS, help="what speaks")
    parser.add_argument("--max-texts", type=int, default=8, help="how many sentences each speaks")
    parser.add_argument("--whisper", default=whisper.DEFAULT_MODEL, help="counts word errors")
    parser.add_argument("--encoder", default=speakers.DEFAULT_ENCODER, help="compares voices")
    parser.add_argument("--temperature", type=float, default=0.9, help="0: the likeliest code")
    parser.add_argument("--top-k", type=int, default=50, help="codes to sample from")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sampling")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where models run"
    )
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Speak, score, write; returns the figures worth keeping."""
    if len(args.vocals) != len(args.segments):
        raise InputError(
            f"--vocals has {len(args.vocals)} files, --segments {len(args.segments)}; "
            "give one of each for every recording"
        )
    if args.max_texts < 1:
        raise InputError(f"--max-texts {args.max_texts}: give 1 or more")
    if args.temperature < 0:
        raise InputError(f"--temperature {args.temperature}: give 0 or more")
    from vc_evaluate import evaluation

    return evaluation.run(args)


def main(argv: list[str] | None = None) -> int:
    """Entry point of ``vc-evaluate``."""
    return cli.run(build_parser(), work, argv)
