"""Stand-ins for the stages' commands: the real parsers, quick outputs.

A warm server calls ``stubs:main`` with ``vc-STAGE ARGUMENTS``. The command line is parsed by the
stage's own parser, so a rule that passes an option the stage does not have fails here as it would
with the real stage. A source whose URL or path contains "broken" fails in the download with 3, one
with "offline" with 75; those with "same" are one recording. What a download was asked is a line of
downloads.jsonl beside its output, with how many of them were running; each takes STUB_SECONDS.
"""

import importlib
import json
import os
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import warm

from vc_core import cli
from vc_core.options import Options
from vc_download.failures import Reason, failure


def download(output: Path, source: str, **given: Any) -> None:
    running = Path("running")
    running.mkdir(exist_ok=True)
    own = running / str(os.getpid())
    own.touch()
    asked = said({"output": output, "source": source, **given})
    asked |= {name: x for name, x in os.environ.items() if "DOWNLOAD_" in name}
    asked["running"] = str(len(list(running.iterdir())))
    with output.with_name("downloads.jsonl").open("a") as file:
        file.write(json.dumps(asked) + "\n")
    time.sleep(float(os.environ.get("STUB_SECONDS", "0")))
    own.unlink()
    if "broken" in source:
        raise failure(Reason.NOT_FOUND, source, "HTTP 404")
    if "offline" in source:
        raise failure(Reason.NETWORK, source, "no connection")
    output.write_text("audio")
    told = {"original": {"sha256": "50f7"}} if "same" in source else {}
    output.with_name("source.json").write_text(json.dumps(told))


def reference(output: Path, **given: Any) -> None:
    output.write_text("audio")
    output.with_suffix(".json").write_text("{}")


def segment(output: Path, rttm: Path, **given: Any) -> None:
    output.write_text("made")
    rttm.write_text("made")


def evaluate(output: Path, speech_dir: Path, **given: Any) -> None:
    output.write_text("{}")
    speech_dir.mkdir()


def folder(output: Path, **given: Any) -> None:
    output.mkdir()
    (output / "arguments.json").write_text(json.dumps(said({"output": output, **given})))


def file(output: Path, **given: Any) -> None:
    output.write_text("made")


def said(given: dict[str, Any]) -> dict[str, str]:
    """Every argument by its name, those in models of options too."""
    flat: dict[str, Any] = {}
    for name, value in given.items():
        flat |= value.model_dump() if isinstance(value, Options) else {name: value}
    return {name: str(value) for name, value in flat.items()}


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

    def work(output: Path, **given: Any) -> None:
        output.parent.mkdir(parents=True, exist_ok=True)
        make(output=output, **given)

    return cli.run(parser, work, sys.argv[2:])


FOLDER = Path(__file__).parent
STAGES = sorted(rules.parent.name for rules in FOLDER.parent.glob("stages/*/rules.smk"))


def serve(*modules: str, path: tuple[Path, ...] = ()) -> AbstractContextManager[warm.Warm]:
    """A server of stubs, and of what else calls ``modules``; see ``warm.serve``."""
    parsers = [f"vc_{stage}.cli" for stage in STAGES]
    return warm.serve("stubs", *parsers, *modules, path=(*path, FOLDER))


def install(target: Path, server: warm.Warm) -> None:
    """Write one executable a stage into ``target``."""
    for stage in STAGES:
        server.install(target / f"vc-{stage}", "stubs:main", f"vc-{stage}")
