"""Find who speaks when in a recording, and which of the voices is the target's."""

import argparse
from pathlib import Path
from typing import Any

from vc_common import cli, log
from vc_common.speakers import DEFAULT_ENCODER

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
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="speaker encoder")
    parser.add_argument(
        "--overlap-model",
        default="package:pyannote-segmentation",
        help="model that hears who speaks within ten seconds, two at once too; none: VAD only",
    )
    parser.add_argument(
        "--min-similarity",
        type=float,
        default=0.6,
        help="least cosine of the target's cluster to the reference",
    )
    parser.add_argument(
        "--min-margin",
        type=float,
        default=0.03,
        help="least lead of the target over the next voice of this recording, cosine",
    )
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Diarize, find the target, write the rows; returns seconds by label."""
    from vc_common import audio, manifests
    from vc_common.speakers import SpeakerEncoder
    from vc_segment import activity, diarize, timeline

    samples, _ = audio.read(args.vocals, audio.ENGINE_RATE)
    reference, _ = audio.read(args.reference, audio.ENGINE_RATE)
    encoder = SpeakerEncoder(args.encoder)
    heard = activity.listen(samples, args.overlap_model)
    voices = diarize.find_voices(
        samples, heard, encoder, encoder.embed(reference), args.min_similarity, str(args.vocals)
    )
    logger.info("%d voices; the target's is %.2f like the reference", voices.people, voices.match)
    removed = None
    if args.recording:
        recording, _ = audio.read(args.recording, audio.ENGINE_RATE)
        removed = recording[: len(samples)] - samples[: len(recording)]
    rows = timeline.rows(len(samples) / audio.ENGINE_RATE, removed, heard, voices, args.min_margin)
    manifests.write_rows(args.output, rows)
    seconds = timeline.seconds_by_label(rows)
    logger.info("wrote %s (%.1f s of the target)", args.output, seconds.get("target", 0.0))
    return {
        "seconds": round(rows[-1].end, 3),
        "voices": voices.people,
        "target_match": round(voices.match, 4),
        "seconds_by_label": seconds,
    }


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
