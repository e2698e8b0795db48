"""Say texts in a finished voice: one WAV a text, watermarked and labelled as synthetic."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from vc_common import cli, log

logger = log.get("synthesize")


@dataclasses.dataclass(frozen=True)
class Spoken:
    """One row of speech.jsonl.

    ``frames`` are the codec's; ``stopped_by_itself`` is False where the length limit ended it;
    ``watermark`` is False for speech too short to carry one, too.
    """

    file: str
    text: str
    seconds: float
    frames: int
    stopped_by_itself: bool
    base_model: str
    adapter: str
    context: str
    seed: int
    watermark: bool
    synthetic: bool = True


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.parser("vc-synthesize", __doc__)
    parser.add_argument("text", nargs="*", help="what to say; one file each")
    parser.add_argument("--texts", type=cli.existing, help="file with one text a line")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for 000.wav ... and speech.jsonl"
    )
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
    parser.add_argument("--max-seconds", type=float, default=10.0, help="longest speech of a text")
    parser.add_argument(
        "--temperature", type=float, default=0.9, help="0 always takes the likeliest code"
    )
    parser.add_argument("--top-k", type=int, default=50, help="codes to sample from")
    parser.add_argument("--seed", type=int, default=0, help="of the first text; then one more each")
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
    from vc_common import audio, csm, files, label, manifests, watermark
    from vc_common.errors import InputError

    texts = [text.strip() for text in args.text]
    if args.texts:
        texts += [line.strip() for line in args.texts.read_text("utf-8").splitlines()]
    texts = [text for text in texts if text]
    if not texts:
        raise InputError("nothing to say: give texts, or a file of them with --texts")
    if args.watermark:
        watermark.check()
    model = csm.load(args.base_model, args.device, adapter=args.adapter)
    context = []
    if args.context_audio:
        context = [csm.context_of(model, args.context_audio, args.context_text)]

    rows = []
    with files.atomic_folder(args.output) as partial:
        for index, text in enumerate(log.progress(texts, desc="synthesize", unit="text")):
            speech = csm.speak(
                model,
                text,
                context,
                seed=args.seed + index,
                temperature=args.temperature,
                top_k=args.top_k,
                max_seconds=args.max_seconds,
            )
            sound = speech.samples
            if args.watermark:
                sound = watermark.mark(sound, audio.TTS_RATE)
            row = Spoken(
                file=f"{index:03d}.wav",
                text=text,
                seconds=round(len(sound) / audio.TTS_RATE, 3),
                frames=len(speech.codes),
                stopped_by_itself=speech.stopped_by_itself,
                base_model=args.base_model,
                adapter=args.adapter,
                context=str(args.context_audio or ""),
                seed=args.seed + index,
                watermark=sound is not speech.samples,
            )
            rows.append(row)
            if not len(sound):
                logger.warning("text %d: the model ended at once and said nothing", index)
            label.write(partial / row.file, sound, args.base_model)
        manifests.write_rows(partial / "speech.jsonl", rows)
    stopped = sum(row.stopped_by_itself for row in rows)
    seconds = round(sum(row.seconds for row in rows), 3)
    logger.info(
        "wrote %s (%d texts, %.1f s, %d ended by themselves)",
        *(args.output, len(rows), seconds, stopped),
    )
    return {
        "device": str(csm.base_of(model.model).device),
        "texts": len(rows),
        "seconds": seconds,
        "stopped_by_itself": stopped,
        "watermark": args.watermark,
    }


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
