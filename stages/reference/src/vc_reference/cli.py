"""Cut the reference of a voice out of recordings, and check that it is one clear voice.

The output REFERENCE.wav (24 kHz mono) is joined by REFERENCE.json, which says where it is from
and what was measured, and what is said in it, unless --whisper is none. `vc-reference propose
RECORDING` lists stretches that would serve.
"""

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vc_core import cli, files, log, options
from vc_reference.options import ProposeOptions, ReferenceOptions

logger = log.get("reference")

PROPOSE = "propose"
PROPOSE_DOC = """List the cleanest stretches of a recording in which one person speaks.

For each of the main voices of the recording the best few are told, as a table and as lines for
config.yaml. (A recording that is called propose is given as ./propose.)
"""

Span = tuple[float, float]


def build_parser() -> options.Parser:
    """The arguments and options of ``vc-reference``."""
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
    options.add(parser, ReferenceOptions)
    return parser


def build_propose_parser() -> options.Parser:
    """The arguments and options of ``vc-reference propose``."""
    parser = cli.parser("vc-reference", PROPOSE_DOC)
    # The name stays the distribution's, which --version and the record ask for.
    parser.usage = "vc-reference propose [options] RECORDING"
    parser.add_argument(
        "recording", type=cli.existing, metavar="RECORDING", help="in any format ffmpeg reads"
    )
    parser.add_argument("-o", "--output", type=Path, help="the same as JSON")
    parser.add_argument("--clips", type=Path, help="folder to write the stretches to, as WAV")
    parser.add_argument("--name", help="id of the source in config.yaml; else the file's name")
    options.add(parser, ProposeOptions)
    return parser


def work(
    audio: list[Path],
    output: Path,
    start: float | None,
    end: float | None,
    slice: list[Span],
    name: list[str],
    options: ReferenceOptions,
) -> Mapping[str, Any]:
    """Make the reference ``output``; returns the figures of the run."""
    from vc_reference import engine

    spans = list(slice)
    if start is not None or end is not None:
        spans.insert(0, (start or 0.0, math.inf if end is None else end))
    told = engine.make(engine.paired(audio, name, spans), output, options)
    logger.info("wrote %s (%.1f s, DNSMOS %.2f)", output, told["seconds"], told["dnsmos"])
    return told


def work_propose(
    recording: Path,
    output: Path | None,
    clips: Path | None,
    name: str | None,
    options: ProposeOptions,
) -> Mapping[str, Any]:
    """Print the proposals, write them where asked to; returns them."""
    from vc_reference import proposals

    found = proposals.propose(recording, options)
    print(proposals.table(found, name or recording.stem))
    rows = proposals.as_rows(found)
    if output is not None:
        files.write_json(output, rows)
    if clips is not None:
        proposals.write_clips(found, recording, clips)
    return {"proposals": rows}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == [PROPOSE]:
        return cli.run(build_propose_parser(), work_propose, arguments[1:])
    return cli.run(build_parser(), work, arguments)


def _seconds(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or number < 0:
        raise argparse.ArgumentTypeError(f"{text}: seconds are 0 or more")
    return number


def _slice(text: str) -> Span:
    start, colon, end = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text}: give START:END in seconds, such as 61.2:74.9")
    return _seconds(start), _seconds(end) if end else math.inf
