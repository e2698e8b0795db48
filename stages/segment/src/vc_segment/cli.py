"""Find who speaks when in a recording, and which of the voices is the target's."""

import argparse
from pathlib import Path
from typing import Any

from vc_core import cli, log
from vc_speech.speakers import DEFAULT_ENCODER, cosine_or_auto
from vc_speech.vad import DEFAULT_VAD

logger = log.get("segment")


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.parser("vc-segment", __doc__)
    parser.add_argument("vocals", type=cli.existing, help="the recording's voices alone")
    parser.add_argument(
        "--reference", type=cli.existing, required=True, help="the target speaking alone"
    )
    parser.add_argument(
        "--recording",
        type=cli.existing,
        help="the recording before separation, to tell music from silence",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="rows that tile the recording (JSON lines)"
    )
    parser.add_argument(
        "--rttm", type=Path, metavar="FILE", help="write who speaks when as RTTM too"
    )
    parser.add_argument("--vad", default=DEFAULT_VAD, help="voice activity detector")
    parser.add_argument(
        "--encoder",
        default=DEFAULT_ENCODER,
        help="speaker encoder: package:campplus, package:resemblyzer, or hub:ID",
    )
    parser.add_argument(
        "--overlap-model",
        default="package:pyannote-segmentation",
        help="model that hears who speaks within ten seconds, two at once too; none: VAD only",
    )
    parser.add_argument(
        "--min-similarity",
        type=cosine_or_auto,
        default="auto",
        help="least cosine of the target's voice to the reference; auto: the encoder's own",
    )
    parser.add_argument(
        "--min-margin",
        type=float,
        default=2.0,
        help="least log-odds (natural) that a piece of speech is the target's",
    )
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Diarize, find the target, write the rows; returns what was found."""
    from vc_core import audio, manifests
    from vc_segment import activity, diarize, levels, rttm, timeline
    from vc_speech import speakers, vad

    encoder = speakers.load(args.encoder)
    least = speakers.threshold(encoder, "voice", args.min_similarity, "--min-similarity")
    detector = vad.load(args.vad)
    samples, _ = audio.read(args.vocals, audio.ENGINE_RATE)
    reference, _ = audio.read(args.reference, audio.ENGINE_RATE)
    heard = activity.listen(samples, args.overlap_model, detector)
    found = diarize.diarize(samples, heard, encoder, reference, least, str(args.vocals))
    for line in found.described():
        logger.info("%s", line)
    removed = levels.removed_power(args.recording, samples) if args.recording else None
    duration = len(samples) / audio.ENGINE_RATE
    rows = timeline.rows(duration, removed, heard, found.named, args.min_margin)
    if args.rttm:
        rttm.write(args.rttm, rows, args.vocals.stem)
    manifests.write_rows(args.output, rows)
    seconds = timeline.seconds_by_label(rows)
    logger.info("wrote %s (%.1f s of the target)", args.output, seconds.get("target", 0.0))
    return {
        "seconds": round(duration, 3),
        "encoder": args.encoder,
        "voices": found.voices,
        "target": found.target,
        "target_match": round(found.voices[found.target]["like_reference"], 4),
        "min_similarity": least,
        "min_margin": args.min_margin,
        "calibration": found.calibration,
        "seconds_by_label": seconds,
    }


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
