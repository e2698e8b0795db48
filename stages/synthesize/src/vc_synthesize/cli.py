"""Say texts in a finished voice: one WAV a text, watermarked and labelled as synthetic."""

import argparse
from pathlib import Path
from typing import Any

from vc_core import cli
from vc_core.errors import InputError


def _texts(given: str) -> Path:
    """Argument type: a file that is there, or ``-``."""
    return Path(given) if given == "-" else cli.existing(given)


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
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
    parser.add_argument("--tts", default="csm", help="what speaks; packages can add to it")
    parser.add_argument("--base-model", required=True, help="CSM: folder or Hub id")
    parser.add_argument("--adapter", default="", help="LoRA adapter, from vc-train; default: none")
    parser.add_argument(
        "--context-audio", type=cli.existing, help="speech of the voice that steers how it sounds"
    )
    parser.add_argument(
        "--context-text",
        default="",
        help="what is said in it; default: the text in the .json beside it",
    )
    parser.add_argument(
        "--max-seconds",
        type=float,
        default=10.0,
        help="longest speech to make at once; longer texts are said in parts",
    )
    parser.add_argument(
        "--temperature", type=float, default=0.9, help="0 always takes the likeliest code"
    )
    parser.add_argument("--top-k", type=int, default=50, help="codes to sample from")
    parser.add_argument("--seed", type=int, default=0, help="of the first text; then one more each")
    parser.add_argument("--batch-size", type=int, default=8, help="texts to say at the same time")
    parser.add_argument("--language", default="en", help="of the texts: how sentences end in it")
    parser.add_argument(
        "--trim",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="cut silence from the ends of what is spoken",
    )
    parser.add_argument(
        "--watermark",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="mark the sound inaudibly as synthetic",
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where")
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Say every text; returns counts."""
    _check(args)
    from vc_speech import tts, watermark
    from vc_synthesize import speech, texts

    asked = texts.gather(args.text, args.texts, args.seed)
    if args.watermark:
        watermark.check()
    options = tts.Options(
        base_model=args.base_model,
        adapter=args.adapter,
        device=args.device,
        context_audio=args.context_audio,
        context_text=args.context_text,
        temperature=args.temperature,
        top_k=args.top_k,
        max_seconds=args.max_seconds,
        batch_size=args.batch_size,
    )
    voice = tts.load(args.tts, options)
    if str(args.output) == "-":
        return speech.stream(voice, asked, args)
    return speech.write(voice, asked, args)


def _check(args: argparse.Namespace) -> None:
    """Raise InputError for a figure that means nothing."""
    least = {"temperature": 0, "seed": 0, "top_k": 1, "batch_size": 1, "max_seconds": 0.5}
    for name, bound in least.items():
        value = getattr(args, name)
        if value < bound:
            raise InputError(f"--{name.replace('_', '-')} {value}: give {bound} or more")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
