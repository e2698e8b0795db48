"""Make one HTML page of a run: what failed, players, ledger, loss, scores, versions.

Opens from disk with no network. What is missing is named on the page, with the reason.
"""

import argparse
from pathlib import Path
from typing import Any

from vc_core import cli, files, log
from vc_core.errors import InputError

LARGE_MB = 15.0  # above this a page opens slowly on a phone


def build_parser() -> argparse.ArgumentParser:
    parser = cli.parser("vc-report", __doc__)
    parser.add_argument(
        "results", type=cli.existing, help="results folder, with run_config.yaml in it"
    )
    parser.add_argument(
        "--work",
        type=cli.existing,
        required=True,
        help="work folder, with what the stages left of each source",
    )
    parser.add_argument(
        "--failures",
        type=Path,
        metavar="FILE",
        help="failures.json of the workflow; without it the stages' own records are read",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the page, one HTML file")
    parser.add_argument(
        "--clips-per-voice", type=int, default=12, help="how many kept clips get a player"
    )
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Read the tree, write the page; returns its counts."""
    if args.clips_per_voice < 0:
        raise InputError(f"--clips-per-voice {args.clips_per_voice}: give 0 or more")
    from vc_report import page, tree

    run = tree.read(args.results, args.work, args.failures)
    html, players = page.render(run, args.clips_per_voice)
    with files.atomic(args.output) as partial:
        partial.write_text(html, "utf-8")

    size = args.output.stat().st_size / 1e6
    logger = log.get("report")
    if size > LARGE_MB:
        logger.warning("the page has %.1f MB; a smaller --clips-per-voice makes it lighter", size)
    failures = [failure for voice in run.voices for failure in voice.all_failures()]
    for failure in failures:
        logger.warning("%s failed at %s: %s", failure.where, failure.stage, failure.message)
    logger.info("wrote %s (%.1f MB, %d players): open it in a browser", args.output, size, players)
    return {
        "voices": len(run.voices),
        "sources": sum(len(voice.sources) for voice in run.voices),
        "failures": len(failures),
        "players": players,
        "megabytes": round(size, 3),
    }


def main(argv: list[str] | None = None) -> int:
    """Entry point of ``vc-report``."""
    return cli.run(build_parser(), work, argv)
