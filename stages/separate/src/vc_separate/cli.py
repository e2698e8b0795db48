"""Keep only the voice of a recording; the output is mono and exactly as long as the input."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vc_core import cli, log

logger = log.get("separate")


def build_parser() -> argparse.ArgumentParser:
    """The options of ``vc-separate``."""
    parser = cli.parser("vc-separate", __doc__)
    parser.add_argument("audio", type=cli.existing, help="recording, in any format ffmpeg reads")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the voice alone, mono FLAC (or WAV)"
    )
    parser.add_argument(
        "--model",
        default="htdemucs",
        help="a demucs model by name (htdemucs, htdemucs_ft, ...), a folder with demucs .th files "
        "(FOLDER or FOLDER/NAME), package:spleeter (weights that a package ships: no download), "
        "a separator that another package offers (NAME or NAME:ARGUMENT), or none (only mix down)",
    )
    parser.add_argument(
        "--when",
        choices=("auto", "always"),
        default="auto",
        help="auto listens first, and leaves alone what has no music or noise to take away",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where to compute; auto takes a GPU if torch sees one",
    )
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "fp16"),
        default="auto",
        help="of demucs and Spleeter; auto is fp16 on a GPU, fp32 on a CPU",
    )
    return parser


def work(args: argparse.Namespace) -> Mapping[str, Any]:
    """Separate ``args.audio`` into ``args.output``; returns the figures of the run."""
    from vc_separate import engine, separators

    separator = separators.load(args.model, args.device, args.precision)
    figures = engine.keep_voice(args.audio, args.output, separator, args.when)
    logger.info(
        "wrote %s (%.1f s of audio, %.1f s of it separated, at %.1f times real time)",
        args.output,
        figures["duration"],
        figures["separated_seconds"],
        figures["times_real_time"],
    )
    return {"model": args.model, "device": separator.device, **figures}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.run(build_parser(), work, argv)
