"""Cut the reference of a voice out of recordings, and check that it is one clear voice.

The output REFERENCE.wav (24 kHz mono) is joined by REFERENCE.json, which says where it is from
and what was measured. `vc-reference propose RECORDING` lists stretches that would serve.
"""

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vc_core import cli, files, log
from vc_speech import speakers
from vc_speech.speakers import DEFAULT_ENCODER
from vc_speech.whisper import DEFAULT_MODEL

logger = log.get("reference")

PROPOSE = "propose"
PROPOSE_DOC = """List the cleanest stretches of a recording in which one person speaks.

For each of the main voices of the recording the best few are told, as a table and as lines for
config.yaml. (A recording that is called propose is given as ./propose.)
"""


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
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        help="what to call the recording in messages; else its path; with several, one for each",
    )
    parser.add_argument(
        "--min-seconds", type=_seconds, default=3.0, help="least speech, in seconds"
    )
    parser.add_argument(
        "--max-seconds", type=_seconds, default=30.0, help="what is longer is cut in a pause"
    )
    parser.add_argument(
        "--max-overlap", type=_seconds, default=0.3, help="most seconds of two people at once"
    )
    _add_limits(parser)
    parser.add_argument(
        "--whisper",
        default=DEFAULT_MODEL,
        help="hears what is said, for models that want the text of their context; none: no text",
    )
    parser.add_argument("--language", default="en", help="the voice's language, ISO 639 code")
    return parser


def build_propose_parser() -> argparse.ArgumentParser:
    """The options of ``vc-reference propose``."""
    parser = cli.parser("vc-reference", PROPOSE_DOC)
    # The name stays the distribution's, which --version and the record ask for.
    parser.usage = "vc-reference propose [options] RECORDING"
    parser.add_argument(
        "recording", type=cli.existing, metavar="RECORDING", help="in any format ffmpeg reads"
    )
    parser.add_argument("-o", "--output", type=Path, help="the same as JSON")
    parser.add_argument("--clips", type=Path, help="folder to write the stretches to, as WAV")
    parser.add_argument("--name", help="id of the source in config.yaml; else the file's name")
    parser.add_argument("--count", type=int, default=3, help="stretches of each voice")
    parser.add_argument("--min-seconds", type=_seconds, default=8.0, help="shortest stretch")
    parser.add_argument("--max-seconds", type=_seconds, default=20.0, help="longest stretch")
    _add_limits(parser)
    return parser


def work(args: argparse.Namespace) -> Mapping[str, Any]:
    """Make ``args.output``; returns the figures of the run."""
    from vc_reference import checks, engine

    spans = list(args.slice)
    if args.start is not None or args.end is not None:
        spans.insert(0, (args.start or 0.0, math.inf if args.end is None else args.end))
    told = engine.make(
        engine.paired(args.audio, args.name, spans),
        args.output,
        checks.Limits(
            args.min_seconds,
            args.max_seconds,
            args.min_dnsmos,
            args.max_clipped,
            args.min_cosine,
            args.max_overlap,
        ),
        encoder=args.encoder,
        overlap_model=args.overlap_model,
        hearing=None if args.whisper == "none" else (args.whisper, args.language),
    )
    logger.info("wrote %s (%.1f s, DNSMOS %.2f)", args.output, told["seconds"], told["dnsmos"])
    return told


def work_propose(args: argparse.Namespace) -> Mapping[str, Any]:
    """Print the proposals, write them where asked to; returns them."""
    from vc_core.errors import InputError
    from vc_reference import checks, proposals

    if args.count < 1:
        raise InputError(f"--count {args.count}: give 1 or more")
    limits = checks.Limits(
        min_dnsmos=args.min_dnsmos, max_clipped=args.max_clipped, min_cosine=args.min_cosine
    )
    found = proposals.propose(
        args.recording,
        args.count,
        args.min_seconds,
        args.max_seconds,
        limits,
        checks.Ears(speakers.load(args.encoder), args.overlap_model),
    )
    print(proposals.table(found, args.name or args.recording.stem))
    rows = proposals.as_rows(found)
    if args.output is not None:
        files.write_json(args.output, rows)
    if args.clips is not None:
        proposals.write_clips(found, args.recording, args.clips)
    return {"proposals": rows}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == [PROPOSE]:
        return cli.run(build_propose_parser(), work_propose, arguments[1:])
    return cli.run(build_parser(), work, arguments)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """What a reference and what is proposed for one must reach alike."""
    parser.add_argument(
        "--min-dnsmos", type=float, default=2.0, help="least DNSMOS: 1 is bad, 5 is excellent"
    )
    parser.add_argument(
        "--max-clipped", type=float, default=0.001, help="largest share of clipped samples"
    )
    parser.add_argument(
        "--min-cosine",
        type=speakers.cosine_or_auto,
        default="auto",
        help="least likeness of any stretch to the rest: below it there are two speakers; "
        "auto: what is known of the encoder",
    )
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="the speaker encoder")
    parser.add_argument(
        "--overlap-model",
        default="package:pyannote-segmentation",
        help="model that hears two people at once; none: they stay unheard",
    )


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
