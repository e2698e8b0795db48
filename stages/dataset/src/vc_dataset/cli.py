"""Make one Hugging Face dataset of a voice's clips: parquet, split by source, with a card."""

import argparse
from pathlib import Path
from typing import Any

from vc_core import cli, log

logger = log.get("dataset")


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.parser("vc-dataset", __doc__)
    parser.add_argument(
        "clips", type=cli.existing, nargs="+", help="clip folders of the voice's sources"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for parquet files and README.md"
    )
    parser.add_argument("--voice", required=True, help="name of the voice")
    parser.add_argument(
        "--consent", required=True, help="who consented, how and when; stands in the card"
    )
    parser.add_argument("--language", default="en", help="the voice's language, ISO 639 code")
    parser.add_argument(
        "--validation", type=float, default=0.1, help="share of seconds for validation"
    )
    parser.add_argument("--test", type=float, default=0.1, help="share of seconds for the test")
    parser.add_argument(
        "--duplicates",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="leave out clips whose recording is there twice, also re-encoded",
    )
    parser.add_argument(
        "--rate-outliers",
        type=float,
        default=4.0,
        help="deviations from the voice's letters a second from which a clip is left out; 0: never",
    )
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Read the clips, leave out what is amiss, split, write parquet and card; returns counts."""
    from vc_core import files, manifests
    from vc_core.errors import InputError
    from vc_dataset import build, gather, split

    sources = gather.read(args.clips)
    if not any(source.clips for source in sources):
        raise InputError(f"voice {args.voice!r}: no clips in {len(args.clips)} folders")
    dropped = gather.left_out(sources, args.duplicates, args.rate_outliers)
    kept = [clip for s in sources for clip in s.clips if clip.clip not in dropped]
    splits, how = split.by_source_or_time(kept, args.validation, args.test)
    places = {clip.clip: s.folder / clip.file_name for s in sources for clip in s.clips}
    with files.atomic_folder(args.output) as partial:
        build.write_parquet(partial, splits, places)
        for source in sources:
            if source.rows:
                rows = gather.voice_ledger(source, dropped)
                manifests.write_rows(partial / "ledger" / f"{source.name}.jsonl", rows)
        (partial / "README.md").write_text(
            build.card(args.voice, args.consent, args.language, splits, how), "utf-8"
        )
    counts = {name: len(clips) for name, clips in splits.items()}
    seconds = {name: round(sum(c.seconds for c in clips), 3) for name, clips in splits.items()}
    logger.info("wrote %s (%s clips; split by %s)", args.output, counts, how)
    reasons = [row.reason for row in dropped.values()]
    left_out = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    return {"clips": counts, "seconds": seconds, "split_by": how, "left_out": left_out}


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
