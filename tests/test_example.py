"""The shipped example, from the recording to the report, measured against its truth."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from vc_core import ledger, manifests
from vc_core.manifests import Clip, LedgerRow
from vc_speech import text

ROOT = Path(__file__).parent.parent
STEP = 0.01  # seconds of the grid on which the ledger and the truth are compared
# The fixture runs everything: minutes on two cores, more on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def snakemake(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *options]
    # Fewer sentences than `make demo` speaks; everything else is as shipped.
    command += ["--config", f"output_dir={folder}/results", f"work_dir={folder}/work"]
    command += ["evaluate={max_texts: 1}"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DEFAULT_")}
    return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the whole workflow on the shipped example."""
    folder = tmp_path_factory.mktemp("example")
    done = snakemake(folder)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "results"


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    return dict(json.loads((ROOT / "examples" / "interview.truth.json").read_text("utf-8")))


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def spoken(truth: dict[str, Any], who: str, size: int) -> np.ndarray:
    flags = np.zeros(size, bool)
    for turn in truth["turns"]:
        if turn["speaker"] == who:
            flags[round(turn["start"] / STEP) : round(turn["end"] / STEP)] = True
    return flags


def test_the_ledger_tiles_the_recording(results: Path, truth: dict[str, Any]) -> None:
    rows = manifests.read_rows(results / "guest/clips/interview/ledger.jsonl", LedgerRow)
    ledger.check(rows, rows[-1].end)
    assert rows[-1].end == pytest.approx(truth["duration"], abs=0.01)
    total = sum(ledger.seconds_by_reason(rows).values())
    assert total == pytest.approx(truth["duration"], abs=0.01)


def test_what_is_kept_is_the_target_alone_and_most_of_it(
    results: Path, truth: dict[str, Any]
) -> None:
    rows = manifests.read_rows(results / "guest/clips/interview/ledger.jsonl", LedgerRow)
    size = round(truth["duration"] / STEP) + 1
    guest, host = spoken(truth, "guest", size), spoken(truth, "host", size)
    kept = np.zeros(size, bool)
    for row in rows:
        if row.kept:
            kept[round(row.start / STEP) : round(row.end / STEP)] = True
    assert (kept & host).sum() <= 0.03 * kept.sum()
    clean = guest & ~host
    assert (kept & clean).sum() >= 0.75 * clean.sum()


def test_texts_are_what_was_said(results: Path, truth: dict[str, Any]) -> None:
    clips = manifests.read_rows(results / "guest/clips/interview/metadata.jsonl", Clip)
    guest = [turn for turn in truth["turns"] if turn["speaker"] == "guest"]
    said, heard = [], []
    for clip in clips:
        inside = [t for t in guest if clip.start < (t["start"] + t["end"]) / 2 < clip.end]
        # A sentence that a clip holds only in part has no text of its own in the truth.
        if inside and all(
            t["start"] > clip.start - 0.2 and t["end"] < clip.end + 0.2 for t in inside
        ):
            said.append(" ".join(t["text"] for t in inside))
            heard.append(clip.text)
    assert len(said) > 0.7 * len(clips)
    assert text.word_error_rate(said, heard) <= 0.10


def test_clips_are_what_their_rows_say(results: Path) -> None:
    folder = results / "guest/clips/interview"
    for clip in manifests.read_rows(folder / "metadata.jsonl", Clip):
        info = soundfile.info(folder / clip.file_name)
        assert (info.samplerate, info.channels, info.format) == (24_000, 1, "FLAC")
        assert 1.0 <= info.duration <= 10.0
        assert info.duration == pytest.approx(clip.seconds, abs=1e-3)


def test_training_lowers_the_validation_loss(results: Path) -> None:
    told = json.loads((results / "guest/adapter/training.json").read_text())
    rows = json_lines(results / "guest/adapter/training.jsonl")
    losses = [row["val_loss"] for row in rows if row.get("val_loss") is not None]
    assert min(losses) < losses[0] - 0.3
    assert told["base_model"] == "models/csm-micro"


def test_speech_is_24_khz_and_says_that_it_is_synthetic(results: Path) -> None:
    rows = json_lines(results / "guest/speech/speech.jsonl")
    assert len(rows) == 2
    for row in rows:
        with soundfile.SoundFile(results / "guest/speech" / row["file"]) as file:
            assert (file.samplerate, file.channels) == (24_000, 1)
            assert file.frames / file.samplerate == pytest.approx(row["seconds"], abs=0.11)
            assert "Synthetic" in file.comment
        assert row["synthetic"] is True


def test_scores_stand_between_floor_and_ceiling(results: Path) -> None:
    scores = json.loads((results / "guest/scores.json").read_text())
    assert set(scores["variants"]) == {"base", "base+context", "lora", "lora+context"}
    assert scores["floor"]["similarity"] < 0.7 < scores["ceiling"]["similarity"]
    assert scores["ceiling"]["wer"] < 0.1


def test_nothing_is_left_to_do(results: Path) -> None:
    again = snakemake(results.parent)
    assert "Nothing to be done" in again.stdout + again.stderr


def players(page: str) -> Sequence[bytes]:
    found = re.findall(r'src="data:audio/[a-z0-9]+;base64,([^"]+)"', page)
    return [base64.b64decode(data) for data in found]


def test_the_report_plays_and_plots(results: Path, tmp_path: Path) -> None:
    page = (results / "report.html").read_text("utf-8")
    assert len(players(page)) > 15
    assert page.count("<svg") >= 3
    assert "its speech is noise" in page
    assert "unsloth/csm-1b" in page
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no Chromium to play it in")
    # A script at the end of a copy writes down how long each player says its audio is.
    probe = (
        "<script>window.onload = () => setTimeout(() => { document.body.innerHTML = "
        "[...document.querySelectorAll('audio')].map(a => a.duration).join(' ') }, 1500)</script>"
    )
    opened = re.sub(r"<meta[^>]*Content-Security-Policy[^>]*>", "", page)
    opened = opened.replace('preload="none"', 'preload="metadata"')
    copy = tmp_path / "report.html"
    copy.write_text(opened.replace("</body>", f"{probe}</body>"), "utf-8")
    shown = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=8000"),
            *("--dump-dom", copy.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    body = re.search(r"<body[^>]*>([\d. NaInf]+)<", shown)
    assert body, shown[-500:]
    seconds = [float(value) for value in body[1].split()]
    assert len(seconds) == len(players(page))
    assert all(0.05 < value < 60 for value in seconds)
