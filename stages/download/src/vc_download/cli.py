"""Fetch one recording, from a URL or a local file, as WAV with its provenance beside it.

The output SOURCE.wav is joined by SOURCE.json and, where people have written captions,
captions.vtt. A run that was killed is gone on from. ``vc-download list URL`` writes the recordings
of a playlist, channel, feed or page as rows of a sources_file instead.
"""

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vc_core import cli, log, options
from vc_core.errors import InputError
from vc_download.options import DownloadOptions, ListOptions
from vc_download.section import Section

logger = log.get("download")


def build_parser() -> options.Parser:
    """The arguments and options of ``vc-download``."""
    parser = cli.parser("vc-download", __doc__)
    parser.add_argument(
        "source",
        metavar="URL_OR_FILE",
        help="an http(s) URL that yt-dlp knows or of a media file, a file:// URL, or a local file",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the recording, 16-bit WAV"
    )
    parser.add_argument("--id", help="name of the recording; else the site's id or the file's name")
    parser.add_argument("--start", type=_seconds, help="where to begin, seconds; else its start")
    parser.add_argument("--end", type=_seconds, help="where to end, seconds; else its end")
    parser.add_argument(
        "--attempt", type=_positive, default=1, help="which try it is; later ones wait first"
    )
    options.add(parser, DownloadOptions)
    return parser


def build_list_parser() -> options.Parser:
    """The arguments and options of ``vc-download list``."""
    doc = "List the recordings of a playlist, channel, feed or page as a sources_file (TSV)."
    parser = cli.parser("vc-download", doc)
    parser.usage = "vc-download list URL [-o FILE] [options]"
    parser.add_argument("url", metavar="URL", help="playlist, channel, feed or page")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("-"), help="where to write; - is stdout"
    )
    options.add(parser, ListOptions)
    return parser


def work(
    source: str,
    output: Path,
    id: str | None,
    start: float | None,
    end: float | None,
    attempt: int,
    options: DownloadOptions,
) -> Mapping[str, Any]:
    """Fetch ``source`` into ``output``; returns the figures of the run."""
    from vc_download import attempts, engine

    if end is not None and end <= (start or 0.0):
        raise InputError(f"--end {end:g}: must be after the start, {start or 0.0:g}")
    attempts.wait(output, attempt, options.retry_wait)
    provenance = engine.download(source, output, id, Section(start, end), options)
    logger.info("wrote %s (%.1f s)", output, provenance["duration"])
    return {name: provenance[name] for name in ("id", "duration", "captions")}


def work_list(url: str, output: Path, options: ListOptions) -> Mapping[str, Any]:
    """Write the recordings behind ``url`` as TSV; returns how many there are."""
    from vc_download import listing

    rows = listing.recordings(url, options)
    listing.write(rows, output)
    usable = sum(not row.refused for row in rows)
    logger.info("%d recordings, of which %d can be had", len(rows), usable)
    return {"recordings": len(rows), "usable": usable}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["list"]:
        return cli.run(build_list_parser(), work_list, arguments[1:])
    return cli.run(build_parser(), work, arguments)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number above 0")
    return int(text)


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be a number, 0 or more")
    return number
