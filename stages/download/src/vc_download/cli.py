"""Fetch one recording, from a URL or a local file, as WAV with its provenance beside it.

The output SOURCE.wav is joined by SOURCE.json and, where people have written captions,
captions.vtt.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vc_common import cli, log

logger = log.get("download")


def build_parser() -> argparse.ArgumentParser:
    """The options of ``vc-download``."""
    parser = cli.parser("vc-download", __doc__)
    parser.add_argument(
        "source",
        type=_source,
        metavar="URL_OR_FILE",
        help="an http(s) URL that yt-dlp knows or of a media file, a file:// URL, or a local file",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="the recording, 16-bit WAV"
    )
    parser.add_argument("--id", help="name of the recording; else the site's id or the file's name")
    parser.add_argument("--licence", help="its licence; else what the site says")
    parser.add_argument("--rate", type=_positive, default=44_100, help="sample rate in Hz")
    parser.add_argument("--channels", type=_positive, default=2, help="number of channels")
    parser.add_argument(
        "--cookies", type=cli.existing, metavar="FILE", help="cookies for the site, Netscape format"
    )
    parser.add_argument("--language", help="language of the captions, such as en; else the video's")
    return parser


def work(args: argparse.Namespace) -> Mapping[str, Any]:
    """Fetch ``args.source`` into ``args.output``; returns the figures of the run."""
    from vc_download import engine

    provenance = engine.download(
        args.source,
        args.output,
        rate=args.rate,
        channels=args.channels,
        name=args.id,
        licence=args.licence,
        cookies=args.cookies,
        language=args.language,
    )
    logger.info("wrote %s (%.1f s)", args.output, provenance["duration"])
    return {name: provenance[name] for name in ("id", "duration", "captions")}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return cli.run(build_parser(), work, argv)


def _source(text: str) -> str:
    """A URL as it is, or the path of a file that is there."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        return text
    cli.existing(text)
    return text


def _positive(text: str) -> int:
    number = int(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text}: must be above 0")
    return number
