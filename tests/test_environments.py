"""An adapter is the same in both environments: everybody's, and that of the train image.

Of the latter only what loading a model takes is installed, to be laid over the former. Everybody's
is that of the tests. The train image's is this file run as a program, once for all that is asked
of it, as most of its time goes into importing libraries.
"""

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vc_csm import codes, mimi

ROOT = Path(__file__).parent.parent
OVERLAY = ROOT / ".venv" / "train-env"
MICRO = ROOT / "models" / "csm-micro"
HERE, THERE = "everybody's", "the train image's"
PACKAGES = ("transformers", "huggingface-hub", "tokenizers", "peft", "torch")


def train(coded: Path, adapter: Path) -> None:
    """A few steps that move the adapter far enough to be told from none."""
    from vc_train import cli

    asked = [coded, "--base-model", MICRO, "-o", adapter, "--samples", "0"]
    asked += ["--max-steps", "3", "--warmup-steps", "0", "--learning-rate", "1e-2"]
    asked += ["--gradient-accumulation", "2"]
    assert cli.main([str(part) for part in asked]) == 0


def measure(coded: Path, adapters: Sequence[Path]) -> dict[str, Any]:
    """What each adapter makes of the loss in this environment, and what the environment is."""
    import torch
    from peft import PeftModel
    from transformers import CsmForConditionalGeneration

    from vc_csm import csm, objective

    clips, _ = codes.read(coded)
    losses = []
    for adapter in adapters:
        base = CsmForConditionalGeneration.from_pretrained(str(MICRO))
        model = PeftModel.from_pretrained(base, str(adapter))
        whole = csm.Csm(model.eval(), csm.load_processor(str(MICRO)), str(MICRO))
        with torch.no_grad():
            loss = sum(objective.mean_losses(whole, objective.make_batch(whole, clips))).item()
            with model.disable_adapter():
                off = sum(objective.mean_losses(whole, objective.make_batch(whole, clips))).item()
        losses.append({"loss": loss, "off": off})
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"losses": losses, "versions": versions}


def measured_there(coded: Path, trained_here: Path, adapter: Path) -> dict[str, Any]:
    """What the train image's environment measures, after it has trained ``adapter``."""
    variables = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    variables["PYTHONPATH"] = str(OVERLAY)
    done = subprocess.run(
        [sys.executable, __file__, coded, trained_here, adapter],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def locked(path: Path) -> dict[str, str]:
    """Package to version, as pinned."""
    return dict(line.split("==") for line in path.read_text().splitlines())


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    codec = mimi.load(str(MICRO), "cpu")
    info = codes.CodecInfo(mimi.fingerprint(codec), 8, 64, 12.5, 24_000, str(MICRO))
    draw = np.random.default_rng(0)
    clips = [
        codes.CodedClip(
            f"Sentence number {index}.",
            draw.integers(1, 64, size=(12 + 3 * index, 8)).astype(np.int16),
            f"clip-{index}",
            "train",
        )
        for index in range(4)
    ]
    path = tmp_path_factory.mktemp("coded") / "codes.parquet"
    codes.write(path, clips, info)
    return path


@pytest.fixture(scope="module")
def measured(coded, tmp_path_factory):
    """By environment: the losses with the adapters of both environments, and the versions."""
    if not OVERLAY.is_dir():
        pytest.skip("needs .venv/train-env; run: make setup")
    folder = tmp_path_factory.mktemp("adapters")
    adapters = [folder / "here", folder / "there"]
    train(coded, adapters[0])
    there = measured_there(coded, *adapters)
    return {HERE: measure(coded, adapters), THERE: there}


@pytest.mark.slow
@pytest.mark.parametrize("trained", [HERE, THERE])
def test_an_adapter_of_either_environment_means_the_same_in_both(trained, measured):
    number = [HERE, THERE].index(trained)
    here, there = (measured[environment]["losses"][number] for environment in (HERE, THERE))
    for name in ("loss", "off"):
        assert here[name] == pytest.approx(there[name], abs=1e-5)
    assert here["loss"] != pytest.approx(here["off"], abs=1e-3)
    pins = {HERE: locked(ROOT / "constraints.txt"), THERE: locked(ROOT / "containers/train.txt")}
    for environment, result in measured.items():
        versions = result["versions"] | {"torch": result["versions"]["torch"].partition("+")[0]}
        assert versions == {name: pins[environment][name] for name in versions}
    assert measured[HERE]["versions"] != measured[THERE]["versions"]


if __name__ == "__main__":
    prepared, others, own = map(Path, sys.argv[1:])
    train(prepared, own)
    print(json.dumps(measure(prepared, [others, own])))
