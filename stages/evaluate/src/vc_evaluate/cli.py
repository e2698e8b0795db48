"""Score a cloned voice on sentences that it never trained on.

Each sentence is spoken by every variant of the model's family: the base model and the base with
its adapter, for CSM with and without the reference as context. Beside the scores stand those of
the speaker's own clips (the ceiling) and of other people in the recordings (the floor).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vc_core import cli, options
from vc_core.errors import InputError
from vc_core.speaking import Family, Speaking
from vc_evaluate.options import EvaluateOptions
from vc_speech import tts


def build_parser() -> options.Parser:
    """The command's arguments and options."""
    parser = cli.parser("vc-evaluate", __doc__)
    parser.add_argument("dataset", type=cli.existing, help="dataset folder, with data/*.parquet")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the scores, JSON")
    parser.add_argument(
        "--adapter", type=cli.existing, required=True, help="the adapter's folder, from vc-train"
    )
    parser.add_argument(
        "--reference", type=cli.existing, required=True, help="the target speaker alone: context"
    )
    parser.add_argument(
        "--reference-text",
        default="",
        help="what the reference says; default: the text in the .json beside it",
    )
    parser.add_argument(
        "--vocals",
        type=cli.existing,
        nargs="+",
        action="extend",
        default=[],
        help="separated recordings, where other speakers give the floor",
    )
    parser.add_argument(
        "--segments",
        type=cli.existing,
        nargs="+",
        action="extend",
        default=[],
        help="who speaks when in each of --vocals, in the same order",
    )
    parser.add_argument(
        "--speech-dir",
        type=Path,
        help="folder for what was spoken; default: 'evaluation' beside the output",
    )
    options.add(parser, EvaluateOptions)
    parser.later.append(lambda given: _add_variants(parser, tts.named(parser, given).family))
    tts.add_options(parser, "speaking")
    return parser


def _add_variants(parser: options.Parser, family: Family) -> None:
    """What speaks: the names of some of the family's variants, in their order."""
    known = [variant.name for variant in family.variants]

    def chosen(text: str) -> tuple[str, ...]:
        wanted = [name.strip() for name in text.split(",") if name.strip()]
        if not wanted or not set(wanted) <= set(known):
            listed = ", ".join(known)
            raise argparse.ArgumentTypeError(f"{text!r}: give some of {listed}, with commas")
        return tuple(name for name in known if name in wanted)

    parser.add_argument(
        "--variants",
        type=chosen,
        default=tuple(known),
        metavar="NAME,...",
        help=f"what speaks: some of {', '.join(known)}",
    )


def work(
    dataset: Path,
    output: Path,
    adapter: Path,
    reference: Path,
    reference_text: str,
    vocals: list[Path],
    segments: list[Path],
    speech_dir: Path | None,
    variants: Sequence[str],
    options: EvaluateOptions,
    speaking: Speaking,
) -> dict[str, Any]:
    """Speak, score, write; returns the figures worth keeping."""
    if len(vocals) != len(segments):
        raise InputError(
            f"--vocals has {len(vocals)} files, --segments {len(segments)}; "
            "give one of each for every recording"
        )
    from vc_evaluate import evaluation

    model = tts.find(options.base_model, options.family)
    request = tts.Request(
        options.base_model, str(adapter), options.device, reference, reference_text, speaking
    )
    recordings = list(zip(vocals, segments, strict=True))
    folder = speech_dir or output.with_name("evaluation")
    chosen = [variant for variant in model.family.variants if variant.name in variants]
    figures = evaluation.run(
        dataset, model, request, chosen, recordings, options, output=output, folder=folder
    )
    return figures | {"packages": tts.packages(model)}


def main(argv: list[str] | None = None) -> int:
    """Entry point of ``vc-evaluate``."""
    return cli.run(build_parser(), work, argv)
