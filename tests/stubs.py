"""Stand-ins for the stages' commands: the real parsers, quick outputs.

Run as ``stubs.py vc-STAGE ARGUMENTS``. The command line is parsed by the stage's own parser, so a
rule that passes an option the stage does not have fails here as it would with the real stage. A
source whose URL or path contains "broken" fails in the download with 3, one with "offline" with 75.
"""

import importlib
import json
import sys
from argparse import Namespace
from pathlib import Path

from vc_common import cli
from vc_common.errors import InputError, TryAgainError


def download(args: Namespace) -> None:
    if "broken" in args.source:
        raise InputError(f"{args.source}: HTTP 404; check the URL")
    if "offline" in args.source:
        raise TryAgainError(f"{args.source}: no connection")
    args.output.write_text("audio")
    args.output.with_name("source.json").write_text("{}")


def reference(args: Namespace) -> None:
    args.output.write_text("audio")
    args.output.with_suffix(".json").write_text("{}")


def segment(args: Namespace) -> None:
    args.output.write_text("made")
    args.rttm.write_text("made")


def evaluate(args: Namespace) -> None:
    args.output.write_text("{}")
    args.speech_dir.mkdir()


def folder(args: Namespace) -> None:
    args.output.mkdir()
    kept = {name: str(value) for name, value in vars(args).items()}
    (args.output / "arguments.json").write_text(json.dumps(kept))


def file(args: Namespace) -> None:
    args.output.write_text("made")


FOLDERS = ("curate", "dataset", "train", "synthesize")
SPECIAL = {
    "download": download,
    "reference": reference,
    "segment": segment,
    "evaluate": evaluate,
}


def main() -> int:
    stage = Path(sys.argv[1]).name.removeprefix("vc-")
    parser = importlib.import_module(f"vc_{stage}.cli").build_parser()
    make = SPECIAL.get(stage, folder if stage in FOLDERS else file)

    def work(args: Namespace) -> None:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        make(args)

    return cli.run(parser, work, sys.argv[2:])


def install(target: Path) -> None:
    """Write one executable a stage into ``target``."""
    stages = Path(__file__).parent.parent / "stages"
    for rules in stages.glob("*/rules.smk"):
        command = target / f"vc-{rules.parent.name}"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$0" "$@"\n')
        command.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
