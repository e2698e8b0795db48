"""Make one HTML page of a run: what failed, players, ledger, loss, scores, versions.

Opens from disk with no network. What is missing is named on the page, with the reason.
"""

from pathlib import Path
from typing import Any

from vc_core import cli, files, log, options
from vc_report.options import ReportOptions

LARGE_MB = 15.0  # above this a page opens slowly on a phone

logger = log.get("report")


def build_parser() -> options.Parser:
    """The command's arguments and options."""
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
    parser.add_argument(
        "--stages",
        type=Path,
        metavar="FILE",
        help="stages.json of the workflow, with the order of its stages; without it they stand in "
        "the order in which they ran",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the page, one HTML file")
    options.add(parser, ReportOptions)
    return parser


def work(
    results: Path,
    work: Path,
    failures: Path | None,
    stages: Path | None,
    output: Path,
    options: ReportOptions,
) -> dict[str, Any]:
    """Read the tree, write the page; returns its counts."""
    from vc_report import page, tree
    from vc_report.failures import where

    run = tree.read(results, work, failures, stages)
    html, players = page.render(run, options.clips_per_voice)
    with files.atomic(output) as partial:
        partial.write_text(html, "utf-8")

    size = output.stat().st_size / 1e6
    if size > LARGE_MB:
        logger.warning("the page has %.1f MB; a smaller --clips-per-voice makes it lighter", size)
    failed = [failure for voice in run.voices for failure in voice.all_failures()]
    for failure in failed:
        logger.warning("%s failed at %s: %s", where(failure), failure.stage, failure.message)
    logger.info("wrote %s (%.1f MB, %d players): open it in a browser", output, size, players)
    return {
        "voices": len(run.voices),
        "sources": sum(len(voice.sources) for voice in run.voices),
        "failures": len(failed),
        "players": players,
        "megabytes": round(size, 3),
    }


def main(argv: list[str] | None = None) -> int:
    """Entry point of ``vc-report``."""
    return cli.run(build_parser(), work, argv)
