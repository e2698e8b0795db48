"""Make one Hugging Face dataset of a voice's clips: parquet, split by source, with a card."""

import argparse
from pathlib import Path
from typing import Any

from vc_common import cli, log

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
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Read the clips, split them, write parquet and card; returns counts."""
    from vc_common import files, manifests
    from vc_common.errors import InputError
    from vc_dataset import build, split

    rows = []
    for folder in args.clips:
        for clip in manifests.read_rows(folder / "metadata.jsonl", manifests.Clip):
            rows.append((folder, clip))
    if not rows:
        raise InputError(f"voice {args.voice!r}: no clips in {len(args.clips)} folders")
    splits, how = split.by_source_or_time([clip for _, clip in rows], args.validation, args.test)
    places = {clip.clip: folder / clip.file_name for folder, clip in rows}
    with files.atomic_folder(args.output) as partial:
        build.write_parquet(partial, splits, places)
        (partial / "README.md").write_text(
            build.card(args.voice, args.consent, args.language, splits, how), "utf-8"
        )
    counts = {name: len(clips) for name, clips in splits.items()}
    seconds = {name: round(sum(c.seconds for c in clips), 3) for name, clips in splits.items()}
    logger.info("wrote %s (%s clips; split by %s)", args.output, counts, how)
    return {"clips": counts, "seconds": seconds, "split_by": how}


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
