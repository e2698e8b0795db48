"""The workflow: its files connect, it reruns what changed, one bad source stops nobody else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stubs
import yaml

ROOT = Path(__file__).parent.parent
Run = Callable[..., subprocess.CompletedProcess[str]]

CONFIG: dict[str, Any] = {
    "voices": {
        "ada": {
            "consent": "Ada Example, written, 2026-01-10",
            "reference": {"source": "talk-1", "start": 1, "end": 9},
            "sources": [
                {"id": "talk-1", "url": "talk one.wav", "licence": "CC0-1.0"},
                "https://example.org/talk-2.mp4",
            ],
            "demo_text": ["It's a sentence, with a quote.", "Another."],
        },
        "bob": {"consent": "Bob Example, signed", "sources": ["https://example.org/bob.ogg"]},
    }
}


@pytest.fixture
def snakemake(tmp_path: Path) -> Run:
    """Runs Snakemake in a folder of its own, with stubs in place of the stages."""
    commands = tmp_path / "commands"
    commands.mkdir()
    stubs.install(commands)
    (tmp_path / "talk one.wav").write_text("audio")

    def run(*options: str, config: dict[str, Any] = CONFIG, **environment: str) -> Any:
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--cores", "4", *options]
        path = f"{commands}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PATH": path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def arguments(folder: Path) -> dict[str, str]:
    return dict(yaml.safe_load((folder / "arguments.json").read_text()))


def test_the_whole_workflow_and_nothing_to_do_after(snakemake: Run, tmp_path: Path) -> None:
    done = snakemake()
    assert done.returncode == 0, done.stderr + done.stdout
    results = tmp_path / "results"
    assert (results / "report.html").is_file()
    for voice, sources in (("ada", ["talk-1", "talk-2"]), ("bob", ["bob"])):
        for source in sources:
            work = tmp_path / "work" / voice / source
            names = {path.name for path in work.iterdir()}
            assert {"source.wav", "source.json", "vocals.flac", "words.jsonl"} <= names
            assert (results / voice / "clips" / source).is_dir()
        for name in ("dataset", "codes.parquet", "adapter", "scores.json", "evaluation"):
            assert (results / voice / name).exists()
    assert (results / "ada" / "speech").is_dir()
    assert not (results / "bob" / "speech").exists(), "bob has no demo_text"
    said = arguments(results / "ada" / "speech")
    assert "It's a sentence, with a quote." in said["text"]
    assert arguments(results / "ada" / "dataset")["consent"] == "Ada Example, written, 2026-01-10"
    assert arguments(results / "ada" / "clips" / "talk-1")["licence"] == "CC0-1.0"
    resolved = yaml.safe_load((results / "run_config.yaml").read_text())
    assert resolved["train"]["max_steps"] == 1000
    again = snakemake()
    assert "Nothing to be done" in again.stderr + again.stdout


def test_a_changed_setting_reruns_what_depends_on_it_alone(snakemake: Run, tmp_path: Path) -> None:
    assert snakemake().returncode == 0
    plan = snakemake("--dry-run", config={**CONFIG, "train": {"max_steps": 7}})
    jobs = {line.split()[0] for line in plan.stdout.splitlines() if line[:1].isalpha()}
    assert {"train", "synthesize", "evaluate", "report"} <= jobs
    assert not {"download", "separate", "encode", "dataset"} & jobs


def test_a_changed_recording_is_read_again(snakemake: Run, tmp_path: Path) -> None:
    assert snakemake().returncode == 0
    (tmp_path / "talk one.wav").write_text("another recording")
    plan = snakemake("--dry-run", "--quiet", "rules")
    assert "download" in snakemake("--dry-run").stdout, plan.stdout


def test_a_correction_makes_the_clips_of_its_voice_anew(snakemake: Run, tmp_path: Path) -> None:
    table = tmp_path / "corrections.tsv"
    table.write_text("clip\ttext\tkeep\n")
    voices = CONFIG["voices"]
    config = {"voices": {**voices, "ada": {**voices["ada"], "corrections": str(table)}}}
    done = snakemake(config=config)
    assert done.returncode == 0, done.stderr + done.stdout
    said = arguments(tmp_path / "results" / "ada" / "clips" / "talk-1")
    assert said["corrections"] == str(table)
    assert "Nothing to be done" in snakemake("--dry-run", config=config).stdout
    table.write_text("clip\ttext\tkeep\ntalk-1-00001000\tBetter.\tyes\n")
    plan = snakemake("--dry-run", config=config).stdout
    counts = dict(line.split()[:2] for line in plan.splitlines() if len(line.split()) == 2)
    assert counts["curate"] == "2", "both of ada's sources, none of bob's"
    assert "segment" not in counts


def test_order_of_settings(snakemake: Run, tmp_path: Path) -> None:
    config = {**CONFIG, "train": {"max_steps": 5, "batch_size": 3}}
    done = snakemake(
        "--config",
        "train={batch_size: 6}",
        "--until",
        "train",
        config=config,
        DEFAULT_MAX_STEPS="50",
        DEFAULT_BATCH_SIZE="4",
    )
    assert done.returncode == 0, done.stderr + done.stdout
    said = arguments(tmp_path / "results" / "bob" / "adapter")
    assert said["max_steps"] == "50", "the environment goes before the file"
    assert said["batch_size"] == "6", "the command line goes before the environment"


def with_sources(*urls: str) -> dict[str, Any]:
    return {
        "voices": {"ada": {"consent": "yes", "sources": ["https://example.org/good.mp4", *urls]}}
    }


def test_one_bad_source_does_not_stop_the_others(snakemake: Run, tmp_path: Path) -> None:
    config = with_sources("https://example.org/broken.mp4", "https://example.org/fine.mp4")
    first = snakemake("--keep-going", config=config)
    assert first.returncode != 0
    assert "ada/broken: download: https://example.org/broken.mp4: HTTP 404" in first.stderr
    assert (tmp_path / "results" / "ada" / "clips" / "fine").is_dir()
    assert not (tmp_path / "results" / "ada" / "clips" / "broken").exists()
    second = snakemake("--keep-going", config=config)
    assert second.returncode == 0, second.stderr
    assert "passing over ada/broken" in second.stderr
    clips = arguments(tmp_path / "results" / "ada" / "dataset")["clips"]
    assert "clips/fine" in clips
    assert "clips/broken" not in clips
    assert (tmp_path / "work" / "ada" / "broken" / "source.wav.failed.json").is_file()


def test_passing_trouble_is_tried_again(snakemake: Run, tmp_path: Path) -> None:
    config = with_sources("https://example.org/offline.mp4")
    assert snakemake("--keep-going", config=config).returncode != 0
    second = snakemake("--keep-going", config=config)
    assert second.returncode != 0
    assert "passing over" not in second.stderr


def test_a_voice_whose_sources_all_failed_says_why(snakemake: Run) -> None:
    config = {"voices": {"ada": {"consent": "yes", "sources": ["https://e.org/broken.mp4"]}}}
    for _ in range(2):
        done = snakemake("--keep-going", config=config)
        assert done.returncode != 0
        assert "HTTP 404" in done.stderr


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"voices": {}}, "config: voices"),
        ({"voices": {"ada": {"consent": "x", "sources": []}}}, "has no sources"),
        ({"voices": {"ada": {"sources": ["a.wav"]}}}, "voices.ada.consent is missing"),
        (
            {"voices": {"ada": {"consent": "x", "sources": ["a.wav"]}}, "trian": {}},
            "trian is not a key of the configuration; did you mean 'train'?",
        ),
    ],
    ids=["no voices", "empty voice", "no consent", "unknown key"],
)
def test_a_bad_configuration_is_one_line_and_3(
    snakemake: Run, tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    done = snakemake("--dry-run", config=config)
    assert done.returncode == 3
    assert said in done.stderr
    # Snakemake names the profile it uses; ours is the one line after it.
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Using ")]
    assert len(lines) == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("profile", ["default", "slurm", "kubernetes"])
def test_every_profile_dry_runs(snakemake: Run, profile: str) -> None:
    done = snakemake("--dry-run", "--profile", str(ROOT / "profiles" / profile))
    assert done.returncode == 0, done.stderr + done.stdout


def test_every_rule_has_log_threads_resources_and_container() -> None:
    for rules in (ROOT / "stages").glob("*/rules.smk"):
        text = rules.read_text()
        for directive in ("log:", "threads:", "resources:", "container:", "mem_mb=", "runtime="):
            assert directive in text, f"{rules}: no {directive}"
        assert "partition" not in text, f"{rules}: clusters belong into profiles"


def test_the_commands_start_at_once(tmp_path: Path) -> None:
    for rules in (ROOT / "stages").glob("*/rules.smk"):
        stage = rules.parent.name
        code = f"import sys, vc_{stage}.cli as c; c.build_parser().format_help(); "
        code += "heavy = {'torch', 'transformers', 'datasets', 'matplotlib', 'scipy', 'librosa'}; "
        code += "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{stage} imports {done.stderr}"
