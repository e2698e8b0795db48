"""An adapter is the same in both environments: everybody's, and that of the train image.

Of the latter only what loading a model takes is installed, to be laid over the former.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vc_csm import codes, mimi

ROOT = Path(__file__).parent.parent
OVERLAY = ROOT / ".venv" / "train-env"
MICRO = ROOT / "models" / "csm-micro"
HERE, THERE = "everybody's", "the train image's"

MEASURE = """
import importlib.metadata, json, sys
import torch
from peft import PeftModel
from transformers import CsmForConditionalGeneration
from vc_csm import codes, csm, objective

base, adapter, coded = sys.argv[1:]
clips, _ = codes.read(coded)
model = PeftModel.from_pretrained(CsmForConditionalGeneration.from_pretrained(base), adapter)
whole = csm.Csm(model.eval(), csm.load_processor(base), base)
with torch.no_grad():
    loss = sum(objective.mean_losses(whole, objective.make_batch(whole, clips))).item()
    with model.disable_adapter():
        off = sum(objective.mean_losses(whole, objective.make_batch(whole, clips))).item()
names = ("transformers", "huggingface-hub", "tokenizers", "peft", "torch")
versions = {name: importlib.metadata.version(name) for name in names}
print(json.dumps({"loss": loss, "off": off, "versions": versions}))
"""


def run(environment: str, *arguments: str | Path) -> str:
    """Output of Python in one of the environments, which must succeed."""
    variables = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    if environment == THERE:
        variables["PYTHONPATH"] = str(OVERLAY)
    done = subprocess.run(
        [sys.executable, *arguments], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def locked(path: Path) -> dict[str, str]:
    """Package to version, as pinned."""
    return dict(line.split("==") for line in path.read_text().splitlines())


@pytest.fixture
def coded(tmp_path):
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
    codes.write(tmp_path / "codes.parquet", clips, info)
    return tmp_path / "codes.parquet"


@pytest.mark.slow
@pytest.mark.parametrize("trained", [HERE, THERE])
def test_an_adapter_of_either_environment_means_the_same_in_both(trained, coded, tmp_path):
    if not OVERLAY.is_dir():
        pytest.skip("needs .venv/train-env; run: make setup")
    adapter = tmp_path / "adapter"
    train = ["-m", "vc_train", coded, "--base-model", MICRO, "-o", adapter, "--samples", "0"]
    steps = ["--max-steps", "3", "--warmup-steps", "0", "--learning-rate", "1e-2"]
    run(trained, *train, *steps, "--gradient-accumulation", "2")

    measured = {
        environment: json.loads(run(environment, "-c", MEASURE, MICRO, adapter, coded))
        for environment in (HERE, THERE)
    }
    for name in ("loss", "off"):
        assert measured[HERE][name] == pytest.approx(measured[THERE][name], abs=1e-5)
    assert measured[HERE]["loss"] != pytest.approx(measured[HERE]["off"], abs=1e-3)
    pins = {HERE: locked(ROOT / "constraints.txt"), THERE: locked(ROOT / "containers/train.txt")}
    for environment, result in measured.items():
        versions = result["versions"] | {"torch": result["versions"]["torch"].partition("+")[0]}
        assert versions == {name: pins[environment][name] for name in versions}
    assert measured[HERE]["versions"] != measured[THERE]["versions"]
