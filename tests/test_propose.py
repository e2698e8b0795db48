"""``voice-clone propose``, with the real commands."""

from pathlib import Path

import pytest

from vc_core import audio
from voice_pipeline import cli


def test_stretches_are_proposed_for_a_file(
    interview: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The first minute has a stretch of each of the two voices; what is proposed of more is the
    # stage's own test.
    samples, rate = audio.read(interview)
    recording = tmp_path / "interview.wav"
    audio.write(recording, samples[: 60 * rate], rate)
    asked = ["propose", str(recording), "--count", "1", "--clips", str(tmp_path / "clips")]
    assert cli.main(asked) == 0
    assert "reference: {source: interview, start: " in capfd.readouterr().out
    assert len(list((tmp_path / "clips").glob("*.wav"))) == 2


def test_what_cannot_be_had_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["propose", str(tmp_path / "none.wav")]) == 3
    assert "none.wav" in capfd.readouterr().err


def test_only_propose_passes_options_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        cli.main(["retry", "--clips", "folder"])
    assert done.value.code == 2
    assert "unrecognized arguments: --clips" in capsys.readouterr().err
