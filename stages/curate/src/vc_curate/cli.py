"""Cut the target's speech into clips of 1 to 10 s worth learning from, and account for the rest."""

import argparse
from pathlib import Path
from typing import Any

from vc_common import cli, log
from vc_common.speakers import DEFAULT_ENCODER

logger = log.get("curate")


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.parser("vc-curate", __doc__)
    parser.add_argument("vocals", type=cli.existing, help="the recording's voices alone")
    parser.add_argument("segments", type=cli.existing, help="who speaks when, from vc-segment")
    parser.add_argument("words", type=cli.existing, help="the target's words, from vc-transcribe")
    parser.add_argument(
        "--reference", type=cli.existing, required=True, help="the target speaking alone"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="folder for the clips, metadata.jsonl and ledger.jsonl",
    )
    parser.add_argument("--voice", required=True, help="name of the voice")
    parser.add_argument("--source", required=True, help="id of the source")
    parser.add_argument("--licence", default="", help="licence of the recording")
    parser.add_argument("--language", default="en", help="the voice's language, ISO 639 code")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="speaker encoder")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--min-seconds", type=float, default=1.0, help="shortest clip")
    limits.add_argument("--max-seconds", type=float, default=10.0, help="longest clip")
    limits.add_argument(
        "--min-similarity", type=float, default=0.65, help="least cosine to the reference"
    )
    limits.add_argument(
        "--min-confidence", type=float, default=0.6, help="least mean word probability"
    )
    limits.add_argument("--min-dnsmos", type=float, default=2.2, help="least overall DNSMOS")
    limits.add_argument(
        "--max-clipped", type=float, default=0.001, help="largest share of samples at full scale"
    )
    limits.add_argument("--loudness", type=float, default=-23.0, help="loudness of clips, LUFS")
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Cut, judge, write clips and ledger; returns counts and seconds by fate."""
    from vc_common import audio, files, ledger, manifests
    from vc_common.errors import InputError
    from vc_common.speakers import SpeakerEncoder
    from vc_curate import cut, judge

    segments = manifests.read_rows(args.segments, manifests.Segment)
    words = manifests.read_rows(args.words, manifests.Word)
    samples, rate = audio.read(args.vocals)
    encoder = SpeakerEncoder(args.encoder)
    target = encoder.embed(audio.read(args.reference, audio.ENGINE_RATE)[0])
    rules = judge.Rules(
        min_similarity=args.min_similarity,
        min_confidence=args.min_confidence,
        min_dnsmos=args.min_dnsmos,
        max_clipped=args.max_clipped,
        language=args.language,
        loudness=args.loudness,
    )
    cuts = cut.into_clips(segments, words, args.min_seconds, args.max_seconds)
    judged = [
        judge.judge(one, samples, rate, encoder, target, rules)
        for one in log.progress(cuts.candidates, desc="clips", unit="clip")
    ]
    kept = [one for one in judged if one.reason is None]
    rows = judge.ledger_rows(segments, cuts.dropped, judged, args.source)
    ledger.check(rows, segments[-1].end)
    seconds = ledger.seconds_by_reason(rows)
    if not kept:
        raise InputError(f"{args.vocals}: no clip is good enough; its seconds went to {seconds}")
    with files.atomic_folder(args.output) as folder:
        clips = judge.write_clips(folder, kept, args.voice, args.source, args.licence)
        manifests.write_rows(folder / "metadata.jsonl", clips)
        manifests.write_rows(folder / "ledger.jsonl", rows)
    logger.info("wrote %s (%d clips, %.1f s)", args.output, len(clips), seconds["kept"])
    return {"clips": len(clips), "rejected": len(judged) - len(clips), "seconds": seconds}


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
