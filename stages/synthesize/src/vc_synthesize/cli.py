"""Say texts in a finished voice: one WAV a text, watermarked and labelled as synthetic."""

import argparse
from pathlib import Path
from typing import Any

from vc_core import cli, options
from vc_core.speaking import Speaking
from vc_speech import tts
from vc_synthesize.options import SynthesizeOptions


def _texts(given: str) -> Path:
    """Argument type: a file that is there, or ``-``."""
    return Path(given) if given == "-" else cli.existing(given)


def build_parser() -> options.Parser:
    """The command's arguments and options."""
    parser = cli.parser("vc-synthesize", __doc__)
    parser.add_argument("text", nargs="*", help="what to say; one file each; - reads them here")
    parser.add_argument(
        "--texts",
        type=_texts,
        help="file with one text a line, or a table (.tsv, .csv, .jsonl) with the column text and "
        "optionally id (names the file) and seed; -: standard input",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="folder for 000.wav ... and speech.jsonl; -: one WAV to standard output, as it is "
        "spoken",
    )
    parser.add_argument("--adapter", default="", help="LoRA adapter, from vc-train; default: none")
    parser.add_argument(
        "--context-audio", type=cli.existing, help="speech of the voice that steers how it sounds"
    )
    parser.add_argument(
        "--context-text",
        default="",
        help="what is said in it; default: the text in the .json beside it",
    )
    # Not an option of the configuration: what the workflow makes is always marked.
    parser.add_argument(
        "--watermark",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="mark the sound inaudibly as synthetic",
    )
    options.add(parser, SynthesizeOptions)
    tts.add_options(parser, "speaking")
    return parser


def work(
    text: list[str],
    texts: Path | None,
    output: Path,
    adapter: str,
    context_audio: Path | None,
    context_text: str,
    watermark: bool,
    options: SynthesizeOptions,
    speaking: Speaking,
) -> dict[str, Any]:
    """Say every text; returns counts."""
    from vc_speech.watermark import check
    from vc_synthesize import speech
    from vc_synthesize.texts import gather

    asked = gather(text, texts, speaking.seed)
    if watermark:
        check()
    model = tts.find(options.base_model, options.family)
    context = context_audio if options.context else None
    request = tts.Request(
        options.base_model,
        adapter,
        options.device,
        context,
        context_text,
        speaking,
        options.language,
    )
    speaker = speech.Speaker(model.load(request), model.family.name, request, options, watermark)
    figures = speaker.stream(asked) if str(output) == "-" else speaker.write(asked, output)
    return figures | {"packages": tts.packages(model)}


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
