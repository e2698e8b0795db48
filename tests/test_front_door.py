"""``voice-clone`` and the Python API."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import stubs
import yaml

from voice_pipeline import PipelineConfig, VoiceCloningPipeline, cli

ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with stubs in place of the stages."""
    commands = tmp_path / "commands"
    commands.mkdir()
    stubs.install(commands)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / f"{name}.wav").write_text("audio")
    return tmp_path


def test_python_api_runs_a_configuration_made_in_code(folder: Path) -> None:
    config = PipelineConfig.model_validate(
        {
            "voices": {"ada": {"consent": "yes", "sources": ["one.wav"]}},
            "output_dir": "out",
            "train": {"max_steps": 3},
        }
    )
    report = VoiceCloningPipeline(config).run(cores=2)
    assert report == Path("out/report.html")
    assert report.is_file()


def test_run_goes_on_without_a_source_that_fails_and_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = ["one.wav", "https://example.org/broken.mp4", "two.wav"]
    options = ["--consent", "Ada, written", "--voice", "ada", "--say", "Good day.", "--cores", "2"]
    code = cli.main(["run", *urls, *options])
    assert code == 3
    said = capsys.readouterr()
    assert "ada/broken failed: download: https://example.org/broken.mp4: HTTP 404" in said.err
    assert "report: results/report.html" in said.out
    assert (folder / "results" / "ada" / "clips" / "two").is_dir()
    assert "Good day." in (folder / "results/ada/speech/arguments.json").read_text()


def test_a_url_needs_consent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "one.wav"]) == 3
    assert "--consent is missing" in capsys.readouterr().err


def test_config_shows_what_would_be_used(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"voices": {"ada": {"consent": "yes", "sources": ["one.wav"]}}}
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.setenv("DEFAULT_MAX_STEPS", "50")
    assert cli.main(["config", "--set", "train.batch_size=4"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["train"]["max_steps"], shown["train"]["batch_size"]) == (50, 4)
    assert cli.main(["config", "--set", "train.batch=4"]) == 3
    assert "did you mean 'batch_size'" in capsys.readouterr().err


def test_help_and_version() -> None:
    command = [sys.executable, "-m", "voice_pipeline.cli"]
    assert subprocess.run([*command, "--version"], check=False).returncode == 0
    assert cli.build_parser().format_help().startswith("usage: voice-clone")
