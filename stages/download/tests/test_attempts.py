"""Another attempt waits as long as it should, and only where waiting can help."""

import time
from pathlib import Path

import pytest

from vc_core import errors, files, records
from vc_core.errors import InputError, TryAgainError
from vc_download import attempts, cli
from vc_download.failures import MENDS, WORTH_A_RETRY, Reason, failure


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    waits: list[float] = []
    monkeypatch.setattr(attempts.time, "sleep", waits.append)
    return waits


def failed(output: Path, reason: Reason, retry_after: float | None = None) -> None:
    """Leave the record that a failed attempt leaves."""
    error = failure(reason, "https://site/v", "said so", retry_after)
    records.write_failure("vc-download", output, error.exit_code, str(error), error.details)


def test_every_reason_has_its_mend_and_its_exit_code() -> None:
    assert set(MENDS) == set(Reason)
    for reason in Reason:
        error = failure(reason, "https://site/v", "said so")
        expected = errors.TRY_AGAIN if reason in WORTH_A_RETRY else errors.BAD_INPUT
        assert error.exit_code == expected
        assert error.details == {"reason": reason.value, "mend": MENDS[reason]}
        assert str(error) == f"https://site/v: said so ({reason.value}); {MENDS[reason]}"


def test_attempts_wait_longer_and_longer(tmp_path: Path, slept: list[float]) -> None:
    output = tmp_path / "source.wav"
    failed(output, Reason.NETWORK)
    for attempt in (2, 3, 4):
        attempts.wait(output, attempt, 30)
    attempts.wait(output, 9, 30)
    assert slept == [30, 120, 480, attempts.LONGEST]


def test_the_sites_retry_after_is_kept(tmp_path: Path, slept: list[float]) -> None:
    output = tmp_path / "source.wav"
    failed(output, Reason.RATE_LIMITED, retry_after=100)
    attempts.wait(output, 2, 30)
    attempts.wait(output, 3, 30)
    assert slept == [pytest.approx(100, abs=5), 120]


def test_who_is_told_to_wait_for_hours_runs_again_later(tmp_path: Path, slept: list[float]) -> None:
    output = tmp_path / "source.wav"
    failed(output, Reason.RATE_LIMITED, retry_after=7200)
    with pytest.raises(TryAgainError) as ended:
        attempts.wait(output, 2, 30)
    assert slept == []
    assert ended.value.details["retry_at"] == pytest.approx(time.time() + 7200, abs=5)


def test_what_waiting_cannot_mend_fails_at_once_and_the_same(
    tmp_path: Path, slept: list[float]
) -> None:
    output = tmp_path / "source.wav"
    failed(output, Reason.PRIVATE)
    before = files.read_json(records.failure_path(output))
    # The site is asked nothing: this URL would be unsupported, not private.
    command = ["ftp://site/v", "-o", str(output), "--record-failure", "--attempt", "2"]
    assert cli.main(command) == errors.BAD_INPUT
    after = files.read_json(records.failure_path(output))
    assert {**after, "time": ""} == {**before, "time": ""}
    assert slept == []


def test_a_first_attempt_knows_nothing_of_earlier_runs(tmp_path: Path, slept: list[float]) -> None:
    output = tmp_path / "source.wav"
    failed(output, Reason.PRIVATE)
    attempts.wait(output, 1, 30)
    assert not records.failure_path(output).exists()
    attempts.wait(output, 2, 30)
    assert slept == []


def test_the_failure_of_a_local_file_is_kept_for_the_next_attempt(tmp_path: Path) -> None:
    output = tmp_path / "source.wav"
    command = [str(tmp_path / "gone.wav"), "-o", str(output), "--record-failure"]
    for attempt in ("1", "2"):
        assert cli.main([*command, "--attempt", attempt]) == errors.BAD_INPUT
        assert files.read_json(records.failure_path(output))["reason"] == "not_found"
    with pytest.raises(InputError):
        attempts.wait(output, 3, 0)
