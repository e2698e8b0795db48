"""Every stage's command on its own, outside the workflow."""

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STAGES = sorted(rules.parent.name for rules in (ROOT / "stages").glob("*/rules.smk"))


def command(stage: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / f"vc-{stage}"
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def arguments_without_inputs(stage: str, folder: Path) -> list[str]:
    """What the command requires, with paths that are not there."""
    parser = importlib.import_module(f"vc_{stage}.cli").build_parser()
    made: list[str] = []
    if any("base_model" in model.model_fields for model in parser.declared.values()):
        made.append(f"--base-model={folder / 'missing.wav'}")
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction) or action.dest == "version":
            continue
        value = str(folder / ("out" if action.dest == "output" else "missing.wav"))
        if not action.option_strings:
            made.append(value)
        elif action.required:
            made += [action.option_strings[-1], value]
    return made


@pytest.mark.parametrize("stage", STAGES)
def test_inputs_that_are_not_there(stage: str, tmp_path: Path) -> None:
    done = command(stage, *arguments_without_inputs(stage, tmp_path))
    assert done.returncode == 3, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "missing.wav" in done.stderr or "models" in done.stderr
    assert not list(tmp_path.iterdir()), "something half-written"


@pytest.mark.parametrize("stage", STAGES)
def test_no_arguments_is_a_usage_error_and_help_and_version_are_not(stage: str) -> None:
    assert command(stage).returncode == 2
    shown = command(stage, "--help")
    assert shown.returncode == 0
    assert "exit codes: 0 done" in shown.stdout
    assert command(stage, "--version").stdout == f"vc-{stage} 0.1.0\n"
