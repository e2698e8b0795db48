"""Transcribe the target's speech: every word with its times and confidence."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vc_core import cli, log, options
from vc_transcribe.options import TranscribeOptions

if TYPE_CHECKING:
    from vc_transcribe.captions import Cue

logger = log.get("transcribe")


def build_parser() -> options.Parser:
    """The command's arguments and options."""
    parser = cli.parser("vc-transcribe", __doc__)
    parser.add_argument("vocals", type=cli.existing, help="the recording's voices alone")
    parser.add_argument("segments", type=cli.existing, help="who speaks when, from vc-segment")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="one word a row (JSON lines)"
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves it open")
    options.add(parser, TranscribeOptions)
    return parser


def work(
    vocals: Path, segments: Path, output: Path, threads: int, options: TranscribeOptions
) -> dict[str, Any]:
    """Transcribe window by window; returns counts."""
    from vc_core import manifests
    from vc_core.errors import InputError
    from vc_speech import whisper
    from vc_transcribe import recording, stretches, transcript
    from vc_transcribe.hearing import Ears

    rows = manifests.read_rows(segments, manifests.Segment)
    cues = captions_for(options.captions, vocals)
    with recording.opened(vocals) as sound:
        found = stretches.of_target(rows, sound.quietest)
        if not found:
            raise InputError(
                f"{segments}: the target speaks nowhere in it; check the reference slice"
            )
        engine = whisper.load(options.model, options.device, threads)
        engine.check_language(options.language)
        ears = Ears(engine, options.language, options.batch_size)
        figures = transcript.Figures()
        words: list[manifests.Word] = []
        packed = stretches.packed(stretches.widened(found, rows, sound.seconds))
        with log.progress(total=len(found), desc="transcribe", unit="stretch") as bar:
            for heard in ears.hear(sound, packed):
                for stretch in heard:
                    words += transcript.rows(stretch, cues, options.max_disagreement, figures)
                bar.update(len(heard))
    if not words:
        raise InputError(f"{vocals}: no word was understood; check audio and language")
    _refuse_other_language(vocals, options.language, figures.seconds_by_language)
    words = transcript.once(words)
    manifests.write_rows(output, words)
    logger.info("wrote %s (%d words)", output, len(words))
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


def _refuse_other_language(vocals: Path, language: str, seconds: Mapping[str, float]) -> None:
    """Raise InputError where nothing is in ``language``, of the seconds by language."""
    from vc_core.errors import InputError

    if language in seconds:
        return
    heard = max(seconds, key=lambda name: seconds[name])
    raise InputError(
        f"{vocals}: the target speaks {heard} in it, not {language}; "
        f"leave the recording out, or set the voice's language to {heard}"
    )


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
