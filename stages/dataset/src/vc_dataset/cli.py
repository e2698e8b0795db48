"""Make one Hugging Face dataset of a voice's clips: parquet, split by source, with a card."""

from pathlib import Path
from typing import Any

from vc_core import cli, log, options
from vc_dataset.options import DatasetOptions

logger = log.get("dataset")


def build_parser() -> options.Parser:
    """The command's arguments and options."""
    parser = cli.parser("vc-dataset", __doc__)
    parser.add_argument(
        "clips", type=cli.existing, nargs="+", help="clip folders of the voice's sources"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for parquet files and README.md"
    )
    parser.add_argument("--voice", required=True, help="name of the voice")
    options.add(parser, DatasetOptions)
    return parser


def work(clips: list[Path], output: Path, voice: str, options: DatasetOptions) -> dict[str, Any]:
    """Read the clips, leave out what is amiss, split, write parquet and card; returns counts."""
    from vc_core import files, manifests
    from vc_core.errors import InputError
    from vc_dataset import build, gather, split

    sources = gather.read(clips)
    if not any(source.clips for source in sources):
        raise InputError(f"voice {voice!r}: no clips in {len(clips)} folders")
    dropped = gather.left_out(sources, options.duplicates, options.rate_outliers)
    kept = [clip for s in sources for clip in s.clips if clip.clip not in dropped]
    splits, how = split.by_source_or_time(kept, options.validation, options.test)
    places = {clip.clip: s.folder / clip.file_name for s in sources for clip in s.clips}
    with files.atomic_folder(output) as partial:
        build.write_parquet(partial, splits, places)
        for source in sources:
            if source.rows:
                rows = gather.voice_ledger(source, dropped)
                manifests.write_rows(partial / "ledger" / f"{source.name}.jsonl", rows)
        (partial / "README.md").write_text(
            build.card(voice, options.consent, options.language, splits, how), "utf-8"
        )
    counts = {name: len(part) for name, part in splits.items()}
    seconds = {name: round(sum(c.seconds for c in part), 3) for name, part in splits.items()}
    logger.info("wrote %s (%s clips; split by %s)", output, counts, how)
    reasons = [row.reason for row in dropped.values()]
    left_out = {reason: reasons.count(reason) for reason in sorted(set(reasons))}
    return {"clips": counts, "seconds": seconds, "split_by": how, "left_out": left_out}


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
