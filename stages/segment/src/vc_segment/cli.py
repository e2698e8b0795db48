"""Find who speaks when in a recording, and which of the voices is the target's."""

from pathlib import Path
from typing import Any

from vc_core import cli, log, options
from vc_segment.options import SegmentOptions

logger = log.get("segment")


def build_parser() -> options.Parser:
    """The command's arguments and options."""
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
    options.add(parser, SegmentOptions)
    return parser


def work(
    vocals: Path,
    reference: Path,
    recording: Path | None,
    output: Path,
    rttm: Path | None,
    options: SegmentOptions,
) -> dict[str, Any]:
    """Diarize, find the target, write the rows; returns what was found."""
    from vc_core import audio, manifests
    from vc_segment import diarize, levels, timeline
    from vc_segment.rttm import write as write_rttm
    from vc_speech import encoders, speakers, vad
    from vc_speech.diarization import activity

    encoder = encoders.load(options.encoder)
    least = speakers.threshold(encoder, "voice", options.min_similarity, "--min-similarity")
    detector = vad.load(options.vad)
    samples, _ = audio.read(vocals, audio.ENGINE_RATE)
    target, _ = audio.read(reference, audio.ENGINE_RATE)
    heard = activity.listen(samples, options.overlap_model, detector)
    found = diarize.diarize(samples, heard, encoder, target, least, str(vocals))
    for line in found.described():
        logger.info("%s", line)
    removed = levels.removed_power(recording, samples) if recording else None
    duration = len(samples) / audio.ENGINE_RATE
    rows = timeline.rows(duration, removed, heard, found.named, options.min_margin)
    if rttm:
        write_rttm(rttm, rows, vocals.stem)
    manifests.write_rows(output, rows)
    seconds = timeline.seconds_by_label(rows)
    logger.info("wrote %s (%.1f s of the target)", output, seconds.get("target", 0.0))
    return {
        "seconds": round(duration, 3),
        "encoder": options.encoder,
        "voices": found.voices,
        "target": found.target,
        "target_match": round(found.voices[found.target]["like_reference"], 4),
        "min_similarity": least,
        "min_margin": options.min_margin,
        "calibration": found.calibration,
        "seconds_by_label": seconds,
    }


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
