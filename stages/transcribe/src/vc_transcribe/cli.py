"""Transcribe the target's speech: every word with its times and confidence."""

import argparse
from pathlib import Path
from typing import Any

from vc_common import cli, log
from vc_common.whisper import DEFAULT_MODEL

logger = log.get("transcribe")


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.parser("vc-transcribe", __doc__)
    parser.add_argument("vocals", type=cli.existing, help="the recording's voices alone")
    parser.add_argument("segments", type=cli.existing, help="who speaks when, from vc-segment")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="one word a row (JSON lines)"
    )
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help="Whisper by name or Hub id of faster-whisper, folder, or package:NAME",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where")
    parser.add_argument("--language", default="en", help="the voice's language, ISO 639 code")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves it open")
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Transcribe stretch by stretch; returns counts."""
    from vc_common import audio, manifests
    from vc_common.errors import InputError
    from vc_common.whisper import Transcriber
    from vc_transcribe import stretches

    rows = manifests.read_rows(args.segments, manifests.Segment)
    found = stretches.of_target(rows)
    if not found:
        raise InputError(
            f"{args.segments}: the target speaks nowhere in it; check the reference slice"
        )
    samples, _ = audio.read(args.vocals, audio.ENGINE_RATE)
    transcriber = Transcriber(args.model, args.device, args.threads)
    words: list[manifests.Word] = []
    for number, span in enumerate(log.progress(found, desc="transcribe", unit="stretch")):
        words += stretches.words(transcriber, samples, span, number, args.language)
    if not words:
        raise InputError(f"{args.vocals}: no word was understood; check audio and language")
    manifests.write_rows(args.output, words)
    logger.info("wrote %s (%d words)", args.output, len(words))
    return {
        "device": transcriber.device,
        "words": len(words),
        "stretches": len(found),
        "seconds": round(sum(end - start for start, end in found), 3),
        "mean_confidence": round(sum(w.confidence for w in words) / len(words), 4),
    }


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
