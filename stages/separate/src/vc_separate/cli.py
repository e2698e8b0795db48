"""Keep only the voice of a recording; the output is mono and exactly as long as the input."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vc_core import cli, log, options
from vc_separate.options import SeparateOptions

logger = log.get("separate")


def build_parser() -> options.Parser:
    """The command's arguments and options."""
    parser = cli.parser("vc-separate", __doc__)
    parser.add_argument("audio", type=cli.existing, help="recording, in any format ffmpeg reads")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the voice alone, mono FLAC (or WAV)"
    )
    options.add(parser, SeparateOptions)
    return parser


def work(audio: Path, output: Path, options: SeparateOptions) -> Mapping[str, Any]:
    """Separate ``audio`` into ``output``; returns the figures of the run."""
    from vc_separate import engine, separators

    separator = separators.load(options.model, options.device, options.precision)
    figures = engine.keep_voice(audio, output, separator, options.when)
    logger.info(
        "wrote %s (%.1f s of audio, %.1f s of it separated, at %.1f times real time)",
        output,
        figures["duration"],
        figures["separated_seconds"],
        figures["times_real_time"],
    )
    return {"model": options.model, "device": separator.device, **figures}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.run(build_parser(), work, argv)
