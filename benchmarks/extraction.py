"""How good extraction is on recordings with known truth, and what its stages cost.

    python benchmarks/extraction.py quality            # one row a condition
    python benchmarks/extraction.py quality --conditions music-0,room --from segment
    python benchmarks/extraction.py score work/extraction/room --segments other.jsonl

The recordings are mixed from real speech (--speech: a folder with kathleen/ and librispeech/) and
from our own music, see mixtures.py. The real commands run on them, one after the other, with the
models that packages ship. The target's prompts are aligned with their texts, see truth.py; prompts
with names are left out, for how Jeanne or Yang-tse is spelled cannot be heard.

Every figure leaves out the reference slice. A clip is cut when one of its ends lies more than
30 ms inside a word of the target, or inside a span of sound of somebody else. Purity counts kept
seconds; recall counts the target's words and the pauses up to 0.3 s between them, where nobody
else speaks; beside it stands what could be had without cutting words. WER compares a clip's text
with the words whose middle it holds.
"""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import costs
import faults
import mixtures
import pipeline
import scoring
import truth
from pipeline import STAGES, Source
from scoring import Scores
from truth import Truth
from voices import TARGET

from vc_core import files, manifests

ROOT = Path(__file__).parent.parent
WIDTHS = (14, 11, 11, 7, 11, 11, 8, 8, 7)
HEAD = ("condition", "purity", "recall", "of", "cut clips", "WER", "SI-SDR+", "EER", "kept s")


@dataclass(frozen=True)
class Wanted:
    """What a condition should reach; shares."""

    purity: float = 0.98
    recall: float = 0.85
    cut: float = 0.01
    wer: float = math.inf


CLEAN = ("monologue", "interview", "panel", "like-voice")
WANTED = {
    **dict.fromkeys(CLEAN, Wanted(wer=0.05)),
    "music-5": Wanted(wer=0.10),
    "music-10": Wanted(wer=0.10),
    "music-0": Wanted(recall=0.60),
}


def score(folder: Path, told: Truth) -> Scores:
    """All figures of an extracted recording."""
    scores = scoring.of_clips(folder / "clips", told)
    scores.eer = segments_error(folder, told)
    if told.music or mixtures.CONDITIONS[told.name].noise_db is not None:
        scores.gain = scoring.separation_gain(folder, folder / "vocals.flac", told)
    return scores


def segments_error(folder: Path, told: Truth) -> float:
    """Equal error rate of the rows in ``folder``."""
    rows = manifests.read_rows(folder / "segments.jsonl", manifests.Segment)
    return scoring.equal_error_rate(rows, told)


def source_in(folder: Path, told: Truth, **options: tuple[str, ...]) -> Source:
    """The recording of a condition, with the slice of it that is the reference.

    Where noise lies on everything there is no clean slice, and its user lowers the limit.
    """
    recording = folder / "source.wav"
    if mixtures.CONDITIONS[told.name].noise_db is not None:
        options["reference"] = ("--min-dnsmos", "1")
    return Source(folder, recording, recording, told.reference, options)


def extracted(folder: Path, told: Truth, first: str | None) -> str:
    """Run the stages from ``first`` on; returns why there are no clips, "" when there are."""
    stage, ended = pipeline.extract(source_in(folder, told), first)
    if ended is None or not ended.code:
        return ""
    return f"{stage} ended with {ended.code}: {(ended.said.splitlines() or [''])[-1]}"


def quality(args: argparse.Namespace) -> None:
    """Mix, extract, score; a row a condition, then all together."""
    print(row(HEAD))
    clean, pooled, rows = Scores(), Scores(), {}
    for name in chosen(args.conditions):
        folder = args.folder / name
        told = mixtures.make(name, folder, args.speech, args.folder / "cache")
        failure = extracted(folder, told, args.first)
        scores = scoring.of_nothing(folder, told) if failure else score(folder, told)
        pooled.add(scores)
        if name in CLEAN:
            clean.add(scores)
        rows[name] = figures(scores) | {"failure": failure}
        print(row(cells(name, scores, WANTED.get(name, Wanted()))), flush=True)
        if failure:
            print(f"  {failure}")
    print(row(cells("clean ones", clean, WANTED[CLEAN[0]])))
    print(row(cells("all", pooled, Wanted())))
    print("the target's seconds that were not kept:", pooled.lost)
    if args.output:
        files.write_json(
            args.output, {"conditions": rows, "clean": figures(clean), "all": figures(pooled)}
        )


def cells(name: str, scores: Scores, wanted: Wanted) -> tuple[str, ...]:
    """A row of the table; after a figure that has a target, whether it is reached."""
    return (
        name,
        judged(scores.purity, scores.purity >= wanted.purity),
        judged(scores.recall, scores.recall >= wanted.recall),
        share(scores.ceiling),
        judged(scores.cut, scores.cut <= wanted.cut),
        judged(scores.wer, scores.wer <= wanted.wer) if wanted.wer < 1 else share(scores.wer),
        "-" if math.isnan(scores.gain) else f"{scores.gain:+.1f} dB",
        share(scores.eer),
        f"{scores.kept:.1f}",
    )


def judged(value: float, reached: bool) -> str:
    """A share with ok or MISS."""
    return share(value) if math.isnan(value) else f"{share(value)} {'ok' if reached else 'MISS'}"


def share(value: float) -> str:
    """A share as per cent."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def row(texts: Sequence[str]) -> str:
    """Texts in columns."""
    return "".join(text.ljust(width) for text, width in zip(texts, WIDTHS, strict=True)).rstrip()


def figures(scores: Scores) -> dict[str, Any]:
    """What is known of a recording, for JSON."""
    told = dataclasses.asdict(scores)
    told |= {name: getattr(scores, name) for name in ("purity", "recall", "ceiling", "cut", "wer")}
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in told.items()
    }


def chosen(names: str | None) -> list[str]:
    """Conditions by name, all without one; ends with the usage code for an unknown one."""
    wanted = names.split(",") if names else list(mixtures.CONDITIONS)
    for name in wanted:
        if name not in mixtures.CONDITIONS:
            sys.exit(f"condition {name!r}: not known; there are: {', '.join(mixtures.CONDITIONS)}")
    return wanted


def mix(args: argparse.Namespace) -> None:
    """Only make the recordings."""
    for name in chosen(args.conditions):
        told = mixtures.make(name, args.folder / name, args.speech, args.folder / "cache")
        mine = told.alone().sum() * truth.STEP
        print(
            f"{name}: {told.seconds:.0f} s, the target alone {mine:.0f} s, "
            f"overlap {mixtures.overlap_of(told):.1%}, reference {told.reference[0]:.2f} to "
            f"{told.reference[1]:.2f}"
        )


def rate(args: argparse.Namespace) -> None:
    """Score outputs of single stages against a recording's truth; prints JSON."""
    told = truth.read(args.recording / "truth.json")
    out: dict[str, Any] = {}
    if args.vocals:
        out["si_sdr_gain_db"] = scoring.separation_gain(args.recording, args.vocals, told)
    if args.segments:
        rows = manifests.read_rows(args.segments, manifests.Segment)
        out["segments"] = scoring.of_segments(rows, told)
    if args.words:
        out["words"] = scoring.of_words(manifests.read_rows(args.words, manifests.Word), told)
    if args.clips:
        out["clips"] = figures(scoring.of_clips(args.clips, told))
    print(json.dumps(out, indent=1))


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands_ = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--speech", type=Path, default=ROOT.parent / "shared" / "speech")
    shared.add_argument(
        "--folder", type=Path, default=ROOT / "work" / "extraction", help="recordings, kept"
    )
    shared.add_argument("--conditions", help="some of them, with commas between")
    one = commands_.add_parser("quality", parents=[shared], help="run all stages, score the clips")
    one.add_argument(
        "--from",
        dest="first",
        choices=(*STAGES, "score"),
        default=STAGES[0],
        help="stage to begin with; what earlier ones left is taken",
    )
    one.add_argument("-o", "--output", type=Path, help="the figures as JSON")
    one.set_defaults(work=quality)
    two = commands_.add_parser("mix", parents=[shared], help="only make the recordings")
    two.set_defaults(work=mix)
    add_costs(commands_, shared)
    three = commands_.add_parser("score", help="score outputs of single stages")
    three.add_argument("recording", type=Path, help="folder of a recording")
    for name in ("vocals", "segments", "words", "clips"):
        three.add_argument(f"--{name}", type=Path)
    three.set_defaults(work=rate)
    return parser


def add_costs(commands_: Any, shared: argparse.ArgumentParser) -> None:
    """The commands that measure what the stages cost and bear."""
    one = commands_.add_parser("speed", parents=[shared], help="against the bare engines")
    one.add_argument("--rounds", type=int, default=3, help="of both, in turn")
    one.set_defaults(work=speed)
    two = commands_.add_parser("memory", parents=[shared], help="on a long recording (slow)")
    two.add_argument("--hours", type=float, default=3.0)
    two.set_defaults(work=memory)
    three = commands_.add_parser("faults", parents=[shared], help="recordings that cannot be used")
    three.set_defaults(work=survey)


def ready(args: argparse.Namespace, names: Sequence[str]) -> list[Path]:
    """Folders of conditions that went through all stages."""
    for name in names:
        told = mixtures.make(name, args.folder / name, args.speech, args.folder / "cache")
        failure = extracted(args.folder / name, told, None)
        if failure:
            sys.exit(f"{name}: {failure}")
    return [args.folder / name for name in names]


def speed(args: argparse.Namespace) -> None:
    """Stages against their bare engines, on the panel or the conditions named."""
    for folder in ready(args, chosen(args.conditions) if args.conditions else ["panel"]):
        told = truth.read(folder / "truth.json")
        costs.speed(source_in(folder, told, separate=("--when", "always")), args.rounds)


def memory(args: argparse.Namespace) -> None:
    """All stages on a recording of hours, made of all conditions or those named."""
    names = chosen(args.conditions)
    for name in names:
        mixtures.make(name, args.folder / name, args.speech, args.folder / "cache")
    parts = [args.folder / name for name in names]
    costs.memory(costs.lengthened(args.folder / "long", parts, args.hours))


def survey(args: argparse.Namespace) -> None:
    """Recordings that cannot be used, or not all."""
    ready(args, ["interview"])
    for name in ("panel", "music-0"):
        mixtures.make(name, args.folder / name, args.speech, args.folder / "cache")
    faults.survey(args.folder / "faults", args.folder)


def main() -> None:
    """Run a command."""
    args = build_parser().parse_args()
    if hasattr(args, "speech") and not (args.speech / TARGET).is_dir():
        print(f"skipped: no speech to mix from in {args.speech}; give --speech, see --help")
        return
    args.work(args)


if __name__ == "__main__":
    main()
