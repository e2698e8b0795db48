"""Fine-tune a speaking model on a voice; stopped runs go on where they were.

What it learns from is what ``vc-encode`` has prepared for the same base model. Checkpoints lie in
OUTPUT.checkpoints until the adapter is written. After SIGTERM the command leaves one and ends with
75; run again with the same settings, it goes on from there. With other settings it starts anew and
lets the old checkpoint be.

``vc-train merge ADAPTER -o FOLDER`` makes base and adapter one model that loads alone.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vc_core import cli, log, options
from vc_core.speaking import Training
from vc_speech import tts
from vc_train.options import TrainOptions

logger = log.get("train")

MERGE = "merge"
MERGE_DOC = "Make a base and an adapter one model that loads alone."


def build_parser() -> options.Parser:
    """The command's arguments and options."""
    parser = cli.parser("vc-train", __doc__)
    parser.add_argument(
        "prepared", type=cli.existing, help="what the voice is learnt from, from vc-encode"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the adapter's folder")
    parser.add_argument("--voice", default="", help="name of the voice, for the card")
    parser.add_argument("--checkpoints", type=Path, help="folder; default: OUTPUT.checkpoints")
    options.add(parser, TrainOptions)
    tts.add_options(parser, "training")
    return parser


def build_merge_parser() -> options.Parser:
    """The arguments of ``vc-train merge``."""
    parser = cli.parser("vc-train", MERGE_DOC)
    parser.usage = "vc-train merge ADAPTER -o OUTPUT [options]"
    parser.add_argument("adapter", type=cli.existing, help="the adapter's folder, from vc-train")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model's folder")
    parser.add_argument(
        "--base-model", default="", help="folder or Hub id; default: the one the adapter names"
    )
    parser.add_argument(
        "--family", default="auto", help="family of both; default: the one that made the adapter"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        default="bfloat16",
        help="of the weights that are written; they are merged in float32",
    )
    return parser


def work(
    prepared: Path,
    output: Path,
    voice: str,
    checkpoints: Path | None,
    options: TrainOptions,
    training: Training,
    again: Sequence[str],
) -> Mapping[str, Any] | None:
    """Let the base model's family train; returns its figures."""
    model = tts.find(options.base_model, options.family)
    figures = model.train(
        tts.TrainingJob(
            prepared=prepared,
            output=output,
            checkpoints=checkpoints or output.with_name(output.name + ".checkpoints"),
            base_model=options.base_model,
            device=options.device,
            voice=voice,
            consent=options.consent,
            language=options.language,
            encoder=options.encoder,
            listener=options.whisper,
            training=training,
            again=again,
        )
    )
    return None if figures is None else {**figures, "packages": tts.packages(model)}


def work_merge(
    adapter: Path, output: Path, base_model: str, family: str, dtype: str
) -> Mapping[str, Any]:
    """Let the adapter's family merge it; returns figures."""
    model = tts.of_adapter(adapter, base_model, family)
    figures = model.merge(adapter, base_model, output, dtype)
    logger.info("wrote %s (%s and its base in one, %s)", output, adapter, dtype)
    return {**figures, "packages": tts.packages(model)}


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == [MERGE]:
        return cli.run(build_merge_parser(), work_merge, arguments[1:])
    again = [sys.executable, "-m", "vc_train", *arguments, "--quiet"]

    def train(**given: Any) -> Mapping[str, Any] | None:
        return work(**given, again=again)

    return cli.run(build_parser(), train, arguments)
