"""Transcribe the target's speech: every word with its times and confidence."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vc_core import cli, log
from vc_speech.whisper import DEFAULT_MODEL

if TYPE_CHECKING:
    from vc_transcribe.captions import Cue

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
        help="Whisper by name or Hub id of faster-whisper, folder, package:NAME, or another "
        "package's transcriber",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where")
    parser.add_argument("--language", default="en", help="the voice's language, ISO 639 code")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves it open")
    parser.add_argument(
        "--batch-size", type=int, default=0, help="windows heard at once; 0: by the device"
    )
    parser.add_argument(
        "--captions",
        default="auto",
        help="captions that people wrote, VTT or SRT; auto: captions.vtt beside the vocals, where "
        "there is one; none: do without",
    )
    parser.add_argument(
        "--max-disagreement",
        type=float,
        default=0.3,
        help="word error rate between captions and what was heard over which captions are not used",
    )
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Transcribe window by window; returns counts."""
    from vc_core import manifests
    from vc_core.errors import InputError
    from vc_speech import whisper
    from vc_transcribe import recording, stretches, transcript
    from vc_transcribe.hearing import Ears

    segments = manifests.read_rows(args.segments, manifests.Segment)
    cues = captions_for(args.captions, args.vocals)
    with recording.opened(args.vocals) as sound:
        found = stretches.of_target(segments, sound.quietest)
        if not found:
            raise InputError(
                f"{args.segments}: the target speaks nowhere in it; check the reference slice"
            )
        engine = whisper.load(args.model, args.device, args.threads)
        if isinstance(engine, whisper.Transcriber):
            engine.check_language(args.language)
        ears = Ears(engine, args.language, args.batch_size)
        figures = transcript.Figures()
        words: list[manifests.Word] = []
        packed = stretches.packed(stretches.widened(found, segments, sound.seconds))
        with log.progress(total=len(found), desc="transcribe", unit="stretch") as bar:
            for heard in ears.hear(sound, packed):
                for stretch in heard:
                    words += transcript.rows(stretch, cues, args.max_disagreement, figures)
                bar.update(len(heard))
    if not words:
        raise InputError(f"{args.vocals}: no word was understood; check audio and language")
    _refuse_other_language(args, figures.seconds_by_language)
    words = transcript.once(words)
    manifests.write_rows(args.output, words)
    logger.info("wrote %s (%d words)", args.output, len(words))
    return {
        "device": engine.device,
        "words": len(words),
        "stretches": len(found),
        "seconds": round(sum(end - start for start, end in found), 3),
        "mean_confidence": round(sum(w.confidence for w in words) / len(words), 4),
        **figures.as_dict(),
    }


def captions_for(asked: str, vocals: Path) -> "list[Cue]":
    """The cues to use; none where there are no captions.

    Those that merely lie beside the vocals are left out with a warning when they cannot be read;
    those that were asked for by name must be readable.
    """
    from vc_core.errors import InputError
    from vc_transcribe import captions

    if asked == "none":
        return []
    if asked != "auto":
        return captions.read(cli.existing(asked))
    beside = vocals.with_name(captions.BESIDE)
    if not beside.is_file():
        return []
    try:
        return captions.read(beside)
    except InputError as error:
        logger.warning("captions left out: %s", error)
        return []


def _refuse_other_language(args: argparse.Namespace, seconds: dict[str, float]) -> None:
    from vc_core.errors import InputError

    if args.language in seconds:
        return
    heard = max(seconds, key=lambda name: seconds[name])
    raise InputError(
        f"{args.vocals}: the target speaks {heard} in it, not {args.language}; "
        f"leave the recording out, or set the voice's language to {heard}"
    )


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
