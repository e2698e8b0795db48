"""Cut the reference of a voice out of recordings, and check that it is one clear voice.

The output REFERENCE.wav (24 kHz mono) is joined by REFERENCE.json, which says where it is from
and what was measured.
"""

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vc_common import cli, log
from vc_common.speakers import DEFAULT_ENCODER
from vc_common.whisper import DEFAULT_MODEL

logger = log.get("reference")


def build_parser() -> argparse.ArgumentParser:
    """The options of ``vc-reference``."""
    parser = cli.parser("vc-reference", __doc__)
    parser.add_argument(
        "audio",
        type=cli.existing,
        nargs="+",
        help="the recording that the slices are cut from; or several, each with one slice or whole",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the reference, 24 kHz mono WAV"
    )
    parser.add_argument("--start", type=_seconds, help="where the slice starts, in seconds")
    parser.add_argument("--end", type=_seconds, help="where it ends; else with the recording")
    parser.add_argument(
        "--slice",
        type=_slice,
        action="append",
        default=[],
        metavar="START:END",
        help="one more slice, in seconds; can be repeated",
    )
    parser.add_argument("--name", help="what to call the recording in messages; else its path")
    parser.add_argument(
        "--min-seconds", type=_seconds, default=3.0, help="least speech, in seconds"
    )
    parser.add_argument(
        "--max-seconds", type=_seconds, default=30.0, help="what is longer is cut in a pause"
    )
    parser.add_argument(
        "--min-dnsmos", type=float, default=2.0, help="least DNSMOS: 1 is bad, 5 is excellent"
    )
    parser.add_argument(
        "--max-clipped", type=float, default=0.001, help="largest share of clipped samples"
    )
    parser.add_argument(
        "--min-cosine",
        type=float,
        default=0.75,
        help="least likeness of any stretch to the rest: below it there are two speakers",
    )
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="the speaker encoder")
    parser.add_argument(
        "--whisper",
        default=DEFAULT_MODEL,
        help="hears what is said, for models that want the text of their context; none: no text",
    )
    parser.add_argument("--language", default="en", help="the voice's language, ISO 639 code")
    return parser


def work(args: argparse.Namespace) -> Mapping[str, Any]:
    """Make ``args.output``; returns the figures of the run."""
    from vc_reference import engine

    slices = list(args.slice)
    if args.start is not None or args.end is not None:
        slices.insert(0, (args.start or 0.0, math.inf if args.end is None else args.end))
    limits = engine.Limits(
        args.min_seconds, args.max_seconds, args.min_dnsmos, args.max_clipped, args.min_cosine
    )
    told = engine.make(
        args.audio,
        slices,
        args.output,
        limits,
        encoder=args.encoder,
        name=args.name,
        hearing=None if args.whisper == "none" else (args.whisper, args.language),
    )
    logger.info("wrote %s (%.1f s, DNSMOS %.2f)", args.output, told["seconds"], told["dnsmos"])
    return told


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.run(build_parser(), work, argv)


def _seconds(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or number < 0:
        raise argparse.ArgumentTypeError(f"{text}: seconds are 0 or more")
    return number


def _slice(text: str) -> tuple[float, float]:
    start, colon, end = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text}: give START:END in seconds, such as 61.2:74.9")
    return _seconds(start), _seconds(end) if end else math.inf
