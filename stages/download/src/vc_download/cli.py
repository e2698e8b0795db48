"""Fetch one recording, from a URL or a local file, as WAV with its provenance beside it.

The output SOURCE.wav is joined by SOURCE.json and, where people have written captions,
captions.vtt. A run that was killed is gone on from. ``vc-download list URL`` writes the recordings
of a playlist, channel, feed or page as rows of a sources_file instead.
"""

import argparse
import math
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vc_core import cli, log
from vc_core.errors import InputError
from vc_download.access import Access, Limits, Section

logger = log.get("download")

# How to get at a recording, never what is got. No record tells of it, for it may be secret; a
# workflow sets it by environment, so that a change of it fetches nothing again.
PRIVATE = ("cookies", "user_agent", "proxy", "rate_limit", "sleep", "js_runtime")
SECRET = ("cookies", "user_agent", "proxy")

_UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_RUNTIMES = ("deno", "node", "bun", "quickjs", "none")


def build_parser() -> argparse.ArgumentParser:
    """The options of ``vc-download``."""
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
    parser.add_argument("--licence", help="its licence; else what the site says")
    parser.add_argument("--start", type=_seconds, help="where to begin, seconds; else its start")
    parser.add_argument("--end", type=_seconds, help="where to end, seconds; else its end")
    parser.add_argument("--rate", type=_positive, default=44_100, help="sample rate in Hz")
    parser.add_argument("--channels", type=_positive, default=2, help="number of channels")
    parser.add_argument("--language", help="language of the captions, such as en; else the video's")
    parser.add_argument(
        "--captions",
        choices=("people", "any", "none"),
        default="people",
        help="whose captions are kept; any: automatic ones where people wrote none",
    )
    _add_access(parser)
    _add_limits(parser)
    return parser


def build_list_parser() -> argparse.ArgumentParser:
    """The options of ``vc-download list``."""
    doc = "List the recordings of a playlist, channel, feed or page as a sources_file (TSV)."
    parser = cli.parser("vc-download", doc)
    parser.usage = "vc-download list URL [-o FILE] [options]"
    parser.add_argument("url", metavar="URL", help="playlist, channel, feed or page")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("-"), help="where to write; - is stdout"
    )
    parser.add_argument("--max", type=_positive, default=10_000, help="most recordings to list")
    _add_access(parser)
    return parser


def work(args: argparse.Namespace) -> Mapping[str, Any]:
    """Fetch ``args.source`` into ``args.output``; returns the figures of the run."""
    from vc_download import attempts, engine

    if args.end is not None and args.end <= (args.start or 0.0):
        raise InputError(f"--end {args.end:g}: must be after the start, {args.start or 0.0:g}")
    attempts.wait(args.output, args.attempt, args.retry_wait)
    provenance = engine.download(
        args.source,
        args.output,
        rate=args.rate,
        channels=args.channels,
        name=args.id,
        licence=args.licence,
        section=Section(args.start, args.end),
        language=args.language,
        whose_captions=args.captions,
        access=_access(args),
        limits=Limits(args.max_seconds, round(args.max_mb * 1e6), tuple(args.folders)),
    )
    logger.info("wrote %s (%.1f s)", args.output, provenance["duration"])
    return {name: provenance[name] for name in ("id", "duration", "captions")}


def work_list(args: argparse.Namespace) -> Mapping[str, Any]:
    """Write the recordings of ``args.url`` as TSV; returns how many there are."""
    from vc_download import listing

    rows = listing.recordings(args.url, _access(args), args.max)
    listing.write(rows, args.output)
    usable = sum(not row.refused for row in rows)
    logger.info("%d recordings, of which %d can be had", len(rows), usable)
    return {"recordings": len(rows), "usable": usable}


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["list"]:
        return cli.run(build_list_parser(), work_list, arguments[1:])
    return cli.run(build_parser(), work, arguments)


def _add_access(parser: argparse.ArgumentParser) -> None:
    """How to get at a recording; what is not given comes from the environment.

    Secrets not as argparse's default, for ``--help`` would show them.
    """
    group = parser.add_argument_group("access (environment: DOWNLOAD_COOKIES and so on)")
    group.add_argument("--cookies", type=Path, metavar="FILE", help="cookies, Netscape format")
    group.add_argument("--user-agent", metavar="TEXT", help="what to call itself")
    group.add_argument("--proxy", metavar="URL", help="such as socks5://127.0.0.1:1080")
    group.add_argument(
        "--rate-limit",
        type=_bytes,
        default=_env("rate_limit"),
        metavar="BYTES",
        help="most bytes a second, such as 500K or 2M",
    )
    group.add_argument(
        "--sleep",
        type=_seconds,
        default=_env("sleep", "0"),
        metavar="SECONDS",
        help="wait between requests",
    )
    group.add_argument(
        "--js-runtime",
        type=_runtime,
        default=_env("js_runtime", "deno"),
        metavar="NAME[:PATH]",
        help="what runs YouTube's JavaScript: " + ", ".join(_RUNTIMES),
    )
    group.add_argument(
        "--allow-hosts",
        type=_names,
        default=_env("allow_hosts"),
        metavar="NAME,...",
        help="hosts that may have loopback or private addresses",
    )
    parser.set_defaults(private=PRIVATE)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    """What is refused, and how long is waited; what is not given comes from the environment."""
    group = parser.add_argument_group("limits (environment: DOWNLOAD_FOLDERS and so on)")
    group.add_argument(
        "--folders",
        type=_folders,
        default=_env("folders"),
        metavar=f"DIR{os.pathsep}...",
        help="folders that local recordings must lie in; where there are none, anywhere",
    )
    group.add_argument(
        "--max-seconds",
        type=_seconds,
        default=_env("max_seconds", "21600"),
        metavar="SECONDS",
        help="longest recording, or section of one",
    )
    group.add_argument(
        "--max-mb",
        type=_seconds,
        default=_env("max_mb", "10000"),
        metavar="MB",
        help="largest original",
    )
    group.add_argument(
        "--attempt", type=_positive, default=1, help="which try it is; later ones wait first"
    )
    group.add_argument(
        "--retry-wait",
        type=_seconds,
        default=_env("retry_wait", "30"),
        metavar="SECONDS",
        help="wait before the second attempt; four times as long before each further one",
    )


def _access(args: argparse.Namespace) -> Access:
    told = {name: getattr(args, name) or _env(name) or None for name in SECRET}
    return Access(
        cookies=Path(told["cookies"]) if told["cookies"] else None,
        user_agent=told["user_agent"],
        proxy=told["proxy"],
        rate_limit=args.rate_limit or None,
        sleep=args.sleep,
        js_runtime=args.js_runtime,
        allow_hosts=frozenset(args.allow_hosts),
    )


def _env(name: str, default: str = "") -> str:
    return os.environ.get(f"DOWNLOAD_{name.upper()}") or default


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number above 0")
    return int(text)


def _seconds(text: str) -> float:
    """Seconds, or another number that is not below 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: must be a number, 0 or more")
    return number


def _bytes(text: str) -> int:
    """``500K`` as 500000; nothing as 0."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)", text, re.IGNORECASE)
    if text and not found:
        raise argparse.ArgumentTypeError(f"{text}: write a number with K, M or G, such as 500K")
    return round(float(found[1]) * _UNITS[found[2].upper()]) if found else 0


def _runtime(text: str) -> str:
    if text.partition(":")[0] not in _RUNTIMES:
        raise argparse.ArgumentTypeError(f"{text}: there are {', '.join(_RUNTIMES)}")
    return text


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _folders(text: str) -> list[Path]:
    return [Path(name) for name in text.split(os.pathsep) if name]
