"""Who speaks when: rows that tile, the target found among others, strangers refused."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vc_core import audio, errors, manifests, media
from vc_core.manifests import Segment
from vc_segment import cli

RATE = 16_000
Truth = list[tuple[str, float, float]]


def clips(folder: Path, count: int, first: int = 0) -> list[audio.Samples]:
    names = sorted(folder.glob("*.flac"))[first : first + count]
    return [audio.read(name, RATE)[0] for name in names]


@pytest.fixture(scope="module")
def talk(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Truth]:
    """A conversation: Kathleen's turns, a stranger's, and one place where both speak.

    Returns recording, reference and the truth as (speaker, start, end).
    """
    folder = tmp_path_factory.mktemp("talk")
    mine = clips(speech / "kathleen" / "flac24k", 9)
    theirs = clips(speech / "librispeech", 1, first=4)[0]
    pause = round(0.4 * RATE)
    track, truth, at = np.zeros(80 * RATE, np.float32), [], RATE
    for number, clip in enumerate(mine[:6]):
        track[at : at + len(clip)] += clip
        truth.append(("target", at / RATE, (at + len(clip)) / RATE))
        at += len(clip) + pause
        turn = theirs[number * 2 * RATE : (number * 2 + 2) * RATE]
        track[at : at + len(turn)] += turn
        truth.append(("other", at / RATE, (at + len(turn)) / RATE))
        at += len(turn) + pause
    both = mine[6]
    track[at : at + len(both)] += both
    middle = theirs[: min(len(theirs), len(both) - RATE)]
    track[at + RATE // 2 : at + RATE // 2 + len(middle)] += middle
    truth.append(("overlap", at / RATE + 0.5, at / RATE + 0.5 + len(middle) / RATE))
    at += len(both) + RATE
    audio.write(folder / "vocals.flac", track[:at], RATE)
    audio.write(folder / "reference.wav", np.concatenate(mine[7:9]), RATE)
    return folder / "vocals.flac", folder / "reference.wav", truth


def segments(vocals: Path, reference: Path, out: Path, *options: str) -> int:
    return cli.main([str(vocals), "--reference", str(reference), "-o", str(out), *options])


def seconds(rows: list[Segment], label: str, start: float, end: float) -> float:
    return sum(
        max(0.0, min(row.end, end) - max(row.start, start)) for row in rows if row.label == label
    )


def test_the_target_is_told_from_a_stranger_and_from_overlap(
    talk: tuple[Path, Path, Truth], tmp_path: Path
) -> None:
    vocals, reference, truth = talk
    out = tmp_path / "segments.jsonl"
    made = segments(vocals, reference, out, "--rttm", str(tmp_path / "talk.rttm"))
    assert made == errors.OK
    rows = manifests.read_rows(out, Segment)
    assert rows[0].start == 0.0
    assert rows[-1].end == pytest.approx(media.probe(vocals).seconds, abs=1e-3)
    assert all(a.end == b.start for a, b in pairwise(rows))
    found = {"target": 0.0, "other": 0.0}
    total = {"target": 0.0, "other": 0.0}
    for who, start, end in truth:
        if who == "overlap":
            assert seconds(rows, "target", start, end) <= 0.3 * (end - start)
            continue
        total[who] += end - start
        found[who] += seconds(rows, "target", start, end)
    assert found["target"] > 0.85 * total["target"]
    assert found["other"] < 0.02 * total["other"]
    # The margin is a score: above zero for the target, below for everybody else.
    assert all(row.margin is not None and row.margin >= 2 for row in rows if row.label == "target")
    assert all(row.margin is not None and row.margin <= -2 for row in rows if row.label == "other")
    assert "target" in (tmp_path / "talk.rttm").read_text()
    told = json.loads(out.with_name("segments.jsonl.run.json").read_text())["figures"]
    assert len(told["voices"]) == 2
    assert told["target_match"] > told["min_similarity"]
    assert told["voices"][1 - told["target"]]["like_reference"] < 0.6


def test_another_encoder_and_no_overlap_model_serve_too(
    talk: tuple[Path, Path, Truth], tmp_path: Path
) -> None:
    vocals, reference, truth = talk
    out = tmp_path / "segments.jsonl"
    options = ["--encoder", "package:resemblyzer", "--overlap-model", "none"]
    assert segments(vocals, reference, out, *options) == errors.OK
    rows = manifests.read_rows(out, Segment)
    mine = [(start, end) for who, start, end in truth if who == "target"]
    theirs = [(start, end) for who, start, end in truth if who == "other"]
    assert sum(seconds(rows, "target", *span) for span in mine) > 0.8 * sum(
        end - start for start, end in mine
    )
    assert sum(seconds(rows, "target", *span) for span in theirs) < 0.05 * sum(
        end - start for start, end in theirs
    )


def test_a_monologue_is_the_targets_alone(speech: Path, tmp_path: Path) -> None:
    mine = clips(speech / "kathleen" / "flac24k", 7, first=20)
    pause = np.zeros(RATE // 2, np.float32)
    spoken = np.concatenate([part for clip in mine[:5] for part in (pause, clip)])
    audio.write(tmp_path / "vocals.flac", spoken, RATE)
    audio.write(tmp_path / "reference.wav", np.concatenate(mine[5:]), RATE)
    out = tmp_path / "segments.jsonl"
    assert segments(tmp_path / "vocals.flac", tmp_path / "reference.wav", out) == errors.OK
    sums: dict[str, float] = {}
    for row in manifests.read_rows(out, Segment):
        sums[row.label] = sums.get(row.label, 0.0) + row.end - row.start
    assert sums["target"] > 0.97 * (sum(sums.values()) - sums["silence"])


def test_a_recording_without_the_target_is_refused(
    talk: tuple[Path, Path, Truth],
    speech: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, reference, _ = talk
    stranger = clips(speech / "librispeech", 1, first=1)[0]
    audio.write(tmp_path / "vocals.flac", stranger, RATE)
    out = tmp_path / "segments.jsonl"
    assert segments(tmp_path / "vocals.flac", reference, out) == errors.BAD_INPUT
    said = capsys.readouterr().err
    assert "the target is not heard: the nearest of 1 voices is 0." in said
    assert not out.exists()


def test_silence_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio.write(tmp_path / "vocals.flac", np.zeros(RATE * 12, np.float32), RATE)
    vocals = tmp_path / "vocals.flac"
    assert segments(vocals, vocals, tmp_path / "s.jsonl") == errors.BAD_INPUT
    assert "no speech" in capsys.readouterr().err


def test_an_engine_that_nobody_offers_is_refused_before_any_work(
    talk: tuple[Path, Path, Truth], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vocals, reference, _ = talk
    out = tmp_path / "s.jsonl"
    assert segments(vocals, reference, out, "--encoder", "ecapa") == errors.BAD_INPUT
    assert "speaker encoder 'ecapa': not known; there are: package:" in capsys.readouterr().err
    assert segments(vocals, reference, out, "--vad", "ears") == errors.BAD_INPUT
    assert "vad 'ears': not known; there are: silero" in capsys.readouterr().err
