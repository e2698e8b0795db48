"""Every stage's command ends with the right code, one line, and a record."""

import json
import logging
from pathlib import Path

import pytest

from vc_core import cli, errors, options


def parser() -> options.Parser:
    made = cli.parser("vc-core", "Do a thing.")
    made.add_argument("input", type=cli.existing)
    made.add_argument("-o", "--output", type=Path, required=True)
    made.add_argument("--gain", type=float, default=1.0)
    return made


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "in.txt").write_text("x")
    return tmp_path


def run(here: Path, work: cli.Work, *more: str) -> int:
    return cli.run(parser(), work, [str(here / "in.txt"), "-o", str(here / "out.txt"), *more])


def test_success_leaves_a_record_with_figures_parameters_and_versions(here: Path) -> None:
    assert run(here, lambda **_: {"items": 3, "device": "cuda"}, "--gain", "2") == errors.OK
    record = json.loads((here / "out.txt.run.json").read_text())
    assert record["stage"] == "core"
    assert record["figures"] == {"items": 3}
    assert record["device"] == "cuda"
    assert record["parameters"]["gain"] == 2.0
    assert record["versions"]["vc-core"] == "0.1.0"
    assert record["seconds"] >= 0
    assert record["peak_memory_mb"] > 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InputError("the file is empty; give another"), 3),
        (errors.ToolError("ffmpeg failed"), 1),
        (errors.TryAgainError("no network"), 75),
        (OSError("No space left on device"), 1),
        (ZeroDivisionError("a bug"), 1),
    ],
)
def test_failures_end_with_their_code_and_no_record(
    here: Path, error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(**_: object) -> None:
        raise error

    assert run(here, work) == code
    assert str(error) in capsys.readouterr().err
    assert not list(here.glob("out.txt*"))


def test_user_errors_are_one_line_without_traceback(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(**_: object) -> None:
        raise errors.InputError("too short; give more")

    run(here, work)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "too short; give more" in lines[0]


def test_a_missing_input_ends_with_3_and_wrong_usage_with_2(here: Path) -> None:
    missing = [str(here / "nothing.wav"), "-o", str(here / "out.txt")]
    assert cli.run(parser(), lambda **_: None, missing) == errors.BAD_INPUT
    with pytest.raises(SystemExit) as usage:
        cli.run(parser(), lambda **_: None, ["--no-such-option"])
    assert usage.value.code == errors.USAGE


def test_failure_record_only_on_request_and_gone_after_success(here: Path) -> None:
    def fail(**_: object) -> None:
        raise errors.InputError("not a recording")

    run(here, fail, "--record-failure")
    told = json.loads((here / "out.txt.failed.json").read_text())
    assert (told["stage"], told["exit_code"]) == ("core", 3)
    assert told["message"] == "not a recording"
    run(here, lambda **_: None, "--record-failure")
    assert not (here / "out.txt.failed.json").exists()


def test_quiet_and_json_logging(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def work(**_: object) -> None:
        logging.getLogger("vc.core").info("said")
        logging.getLogger("vc.core").warning("warned")

    run(here, work, "--quiet", "--log-format", "json")
    rows = [json.loads(line) for line in capsys.readouterr().err.strip().splitlines()]
    assert [row["message"] for row in rows] == ["warned"]


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.run(parser(), lambda **_: None, ["--version"])
    assert done.value.code == 0
    assert capsys.readouterr().out.strip() == "vc-core 0.1.0"
