"""``voice-clone`` and the Python API."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import stubs
import warm
import yaml

from voice_pipeline import PipelineConfig, VoiceCloningPipeline, cli
from voice_pipeline.access import variables

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def server() -> Iterator[warm.Warm]:
    with stubs.serve() as up:
        yield up


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: warm.Warm) -> Path:
    """A folder to work in, with stubs in place of the stages."""
    commands = tmp_path / "commands"
    commands.mkdir()
    stubs.install(commands, server)
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
    assert "failed: ada/broken: download: https://example.org/broken.mp4: HTTP 404" in said.err
    assert "report: results/report.html" in said.out
    assert (folder / "results" / "ada" / "clips" / "two").is_dir()
    assert "Good day." in (folder / "results/ada/speech/arguments.json").read_text()


def test_how_to_get_at_a_url_comes_from_the_environment_and_the_command_line_before_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOWNLOAD_PROXY", "http://me:hush@127.0.0.1:9")
    monkeypatch.setenv("DOWNLOAD_USER_AGENT", "environment")
    (folder / ".env").write_text("DOWNLOAD_SLEEP=2\nDOWNLOAD_USER_AGENT=dotenv\n")
    options = ["--consent", "Ada, written", "--set", "download.user_agent=hand", "--cores", "2"]
    assert cli.main(["run", "https://example.org/talk.mp4", *options]) == 0
    asked = json.loads((folder / "work/voice/talk/downloads.jsonl").read_text())
    assert asked["DOWNLOAD_PROXY"] == "http://me:hush@127.0.0.1:9"
    assert asked["DOWNLOAD_SLEEP"] == "2"
    assert asked["DOWNLOAD_USER_AGENT"] == "hand"
    for name in ("run_config.yaml", "requested_config.yaml"):
        assert "hush" not in (folder / "results" / name).read_text()


def test_a_proposal_gets_at_its_recording_as_a_run_would(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = folder / "told"
    (folder / "commands" / "vc-download").write_text(f"#!/bin/sh\nenv > {told}\nexit 75\n")
    for name in [name for name in os.environ if name.startswith("DOWNLOAD_")]:
        monkeypatch.delenv(name)
    with monkeypatch.context() as only_here:
        # What the command sets is taken back by what is set here.
        for variable in variables(PipelineConfig):
            only_here.setenv(variable, "")
            only_here.setenv(f"APPTAINERENV_{variable}", "")
        values = {"download": {"user_agent": "file", "proxy": "http://127.0.0.1:9"}}
        (folder / "config.yaml").write_text(yaml.safe_dump(values))
        (folder / ".env").write_text("DOWNLOAD_SLEEP=2\n")
        only_here.delenv("DOWNLOAD_SLEEP")
        assert cli.main(["propose", "https://example.org/talk.mp4"]) == 75
        said = told.read_text().splitlines()
        assert {"DOWNLOAD_USER_AGENT=file", "DOWNLOAD_SLEEP=2"} <= set(said)
        values["download"]["proxy"] = "http://me:hush@127.0.0.1:9"
        (folder / "config.yaml").write_text(yaml.safe_dump(values))
        assert cli.main(["propose", "https://example.org/talk.mp4"]) == 3
        assert "config: download.proxy has a user name or password" in capsys.readouterr().err


def test_a_profile_takes_the_place_of_the_default_one(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    profile = ROOT / "profiles" / "slurm"
    options = ["--consent", "Ada, written", "--dry-run", "--profile", str(profile)]
    assert cli.main(["run", "one.wav", *options]) == 0
    assert f"Using workflow specific profile {profile} for" in capfd.readouterr().err


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
