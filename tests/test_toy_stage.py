"""Adding a stage is adding a folder: a toy in a copy of the checkout, nothing else touched."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stubs
import warm
import yaml

ROOT = Path(__file__).parent.parent

FILES = {
    "pyproject.toml": """
[project]
name = "vc-toy"
version = "0.1.0"
description = "Counts the clips of a voice"
dependencies = ["vc-core==0.1.0"]

[tool.voice-clone]
order = 75
about = "voice"
gpu = true
outputs = ["<results>/{voice}/toy.json"]

[tool.voice-clone.image]
kind = "slim"
apt = ["cowsay"]
""",
    "rules.smk": '''
"""How many clips a voice has."""


rule toy:
    input:
        dataset="<results>/{voice}/dataset",
    output:
        counted="<results>/{voice}/toy.json",
        record="<results>/{voice}/toy.json.run.json",
    log:
        "<logs>/{voice}/toy.log",
    container:
        PLAN.image("toy")
    threads: 1
    resources:
        gpu=1,
        mem_mb=500,
        disk_mb=100,
        runtime="5m",
    params:
        options=PLAN.options("toy"),
        how=PLAN.how("toy"),
    shell:
        "vc-toy {input.dataset:q} {params.options:q} {params.how:q}"
        " --output {output.counted:q} 2> {log:q}"
'''.lstrip(),
    "src/vc_toy/__init__.py": "",
    "src/vc_toy/options.py": '''
"""The options of ``vc-toy``."""

from typing import Annotated

from pydantic import Field

from vc_core import shared
from vc_core.options import Options


class ToyOptions(Options):
    """Counting clips."""

    least: Annotated[int, Field(default=2, ge=1, le=9, description="Fewest clips to count.")]
    encoder: shared.SpeakerEncoderName
    device: shared.Device
''',
    "src/vc_toy/cli.py": '''
"""Count the clips of a voice."""

import json
import sys
from pathlib import Path

from vc_core import cli, options
from vc_toy.options import ToyOptions


def build_parser() -> options.Parser:
    parser = cli.parser("vc-toy", __doc__)
    parser.add_argument("dataset", type=cli.existing)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options.add(parser, ToyOptions)
    return parser


def work(dataset: Path, output: Path, options: ToyOptions) -> dict[str, int]:
    output.write_text(json.dumps(options.model_dump()))
    return {"least": options.least}


def main() -> int:
    return cli.run(build_parser(), work)
''',
}

CONFIG: dict[str, Any] = {
    "voices": {"ada": {"consent": "Ada, written", "sources": ["one.wav"]}},
    "toy": {"least": 3},
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with one more folder in it."""
    copy = tmp_path_factory.mktemp("house") / "checkout"
    kept = ("Snakefile", "config.schema.json", "docs", "pyproject.toml")
    for name in (*kept, ".ci", "containers", "lib", "profiles", "src", "stages"):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(path, copy / name)
    for name, content in FILES.items():
        place = copy / "stages" / "toy" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)
    (copy / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    (copy / "one.wav").write_text("audio")
    return copy


def packages(checkout: Path) -> list[Path]:
    """The folders of the copy's own packages."""
    return [checkout / "src", *checkout.glob("*/*/src")]


@pytest.fixture(scope="module")
def server(checkout: Path) -> Iterator[warm.Warm]:
    """What starts Snakemake, the stubs and two stages, all of them with the copy's packages."""
    modules = ("snakemake.cli", "voice_pipeline.workflow", "vc_toy.cli")
    with stubs.serve(*modules, path=tuple(packages(checkout))) as up:
        yield up


@pytest.fixture(scope="module")
def snakemake(checkout: Path, server: warm.Warm) -> Callable[..., str]:
    """What Snakemake says in the copy."""

    def said(*options: str, **environment: str) -> str:
        return call(checkout, server.command("snakemake.cli:main", *options), **environment)

    return said


def run(checkout: Path, *command: str) -> str:
    """What a Python command says in the copy."""
    return call(checkout, [sys.executable, *command])


def call(checkout: Path, command: list[str], **environment: str) -> str:
    """What a command says in the copy, where the copy's own packages go before others."""
    sources = os.pathsep.join(map(str, packages(checkout)))
    done = subprocess.run(
        command,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": sources, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_is_planned_and_linted(snakemake: Callable[..., str]) -> None:
    plan = snakemake("--dry-run", "--printshellcmds")
    command = next(line for line in plan.splitlines() if "vc-toy" in line)
    assert "--least=3 --encoder=package:campplus" in command and "--device=auto" in command
    assert "good condition" in snakemake("--lint")


def test_its_walls_are_checked(checkout: Path) -> None:
    assert "0 broken" in run(checkout, ".ci/walls.py")
    peeking = checkout / "stages" / "toy" / "src" / "vc_toy" / "peeking.py"
    peeking.write_text("import vc_dataset.build\n")
    try:
        with pytest.raises(AssertionError, match="vc_toy is not allowed to import vc_dataset"):
            run(checkout, ".ci/walls.py")
    finally:
        peeking.unlink()


def test_it_has_an_image_and_is_in_the_one_with_all(checkout: Path) -> None:
    assert "voice-clone/vc-toy:0.1.0\tslim" in run(checkout, "containers/build", "--list")
    assert "APT=cowsay" in run(checkout, "containers/build", "toy", "--dry-run")
    assert "APT=cowsay ffmpeg" in run(checkout, "containers/build", "all", "--dry-run")


def test_it_has_its_section_in_schema_and_docs(checkout: Path) -> None:
    run(checkout, "-m", "voice_pipeline.docs")
    known = json.loads((checkout / "config.schema.json").read_text())["$defs"]
    assert known["Toy"]["properties"]["least"]["maximum"] == 9
    page = (checkout / "docs" / "configuration.md").read_text()
    assert "## toy" in page and "`vc-toy` takes `models.speaker_encoder`" in page
    wrong = {**CONFIG, "toy": {"leest": 3}}
    (checkout / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    with pytest.raises(AssertionError, match=r"toy.leest .* did you mean 'least'"):
        run(checkout, "-m", "voice_pipeline.cli", "config", "--config", "wrong.yaml")


def test_clusters_know_that_it_wants_a_gpu(checkout: Path, snakemake: Callable[..., str]) -> None:
    for profile in ("slurm", "kubernetes"):
        snakemake("--dry-run", "--workflow-profile", f"profiles/{profile}")
    code = "from snakemake.profiles import ProfileConfigFileParser as P; "
    code += "print(P().parse(open('profiles/kubernetes/config.yaml'))['set-resources'])"
    assert "toy:scale=0" in run(checkout, "-c", code)


def test_it_runs_and_stands_in_the_report_in_its_place(
    checkout: Path, server: warm.Warm, snakemake: Callable[..., str], tmp_path: Path
) -> None:
    stubs.install(tmp_path, server)
    server.install(tmp_path / "vc-toy", "vc_toy.cli:main")
    server.install(tmp_path / "vc-report", "vc_report.cli:main")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    snakemake("--cores", "2", "--quiet", PATH=path)
    counted = json.loads((checkout / "results" / "ada" / "toy.json").read_text())
    assert counted["least"] == 3
    page = (checkout / "results" / "report.html").read_text()
    records = re.findall(r'<th scope="row">(\w+)</th>', page)
    assert records[records.index("toy") - 1 :][:3] == ["dataset", "toy", "encode"]
