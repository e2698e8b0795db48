"""Who speaks when: rows that tile, the target found among others, strangers refused."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vc_common import audio, errors, manifests
from vc_common.manifests import Segment
from vc_segment import activity, cli, diarize

RATE = 16_000


def clips(folder: Path, count: int, first: int = 0) -> list[audio.Samples]:
    names = sorted(folder.glob("*.flac"))[first : first + count]
    return [audio.read(name, RATE)[0] for name in names]


@pytest.fixture(scope="module")
def talk(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list]:
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


def seconds(rows: list[Segment], label: str, start: float, end: float) -> float:
    return sum(
        max(0.0, min(row.end, end) - max(row.start, start)) for row in rows if row.label == label
    )


def test_the_target_is_told_from_a_stranger_and_from_overlap(
    talk: tuple[Path, Path, list], tmp_path: Path
) -> None:
    vocals, reference, truth = talk
    out = tmp_path / "segments.jsonl"
    assert cli.main([str(vocals), "--reference", str(reference), "-o", str(out)]) == errors.OK
    rows = manifests.read_rows(out, Segment)
    duration = audio.probe(vocals).seconds
    assert rows[0].start == 0.0
    assert rows[-1].end == pytest.approx(duration, abs=1e-3)
    assert all(a.end == b.start for a, b in pairwise(rows))
    found = {"target": 0.0, "stranger": 0.0}
    total = {"target": 0.0, "other": 0.0}
    for who, start, end in truth:
        if who == "overlap":
            assert seconds(rows, "target", start, end) <= 0.4 * (end - start)
            continue
        total[who] += end - start
        key = "target" if who == "target" else "stranger"
        found[key] += seconds(rows, "target", start, end)
    assert found["target"] > 0.8 * total["target"]
    assert found["stranger"] < 0.03 * total["other"]


def test_a_recording_without_the_target_is_refused(
    talk: tuple[Path, Path, list], speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, reference, _ = talk
    stranger = clips(speech / "librispeech", 1, first=1)[0]
    audio.write(tmp_path / "vocals.flac", stranger, RATE)
    out = tmp_path / "segments.jsonl"
    argv = [str(tmp_path / "vocals.flac"), "--reference", str(reference), "-o", str(out)]
    assert cli.main([*argv, "--min-similarity", "0.75"]) == errors.BAD_INPUT
    assert "the target is not heard" in capsys.readouterr().err
    assert not out.exists()


def test_silence_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio.write(tmp_path / "vocals.flac", np.zeros(RATE * 12, np.float32), RATE)
    argv = [str(tmp_path / "vocals.flac"), "--reference", str(tmp_path / "vocals.flac")]
    assert cli.main([*argv, "-o", str(tmp_path / "s.jsonl")]) == errors.BAD_INPUT
    assert "no speech" in capsys.readouterr().err


def test_pieces_end_at_pauses_changes_and_overlaps() -> None:
    flags = np.zeros(400, bool)
    speech, overlap, changes = flags.copy(), flags.copy(), flags.copy()
    speech[10:200] = speech[250:390] = True
    overlap[150:170] = True
    changes[60] = True
    pieces = diarize.cut(activity.Heard(speech, overlap, changes))
    assert [(p.first, p.last) for p in pieces] == [(10, 60), (60, 150), (170, 200), (250, 390)]


def test_long_speech_without_a_pause_is_looked_at_in_parts() -> None:
    flags = np.zeros(1000, bool)
    pieces = diarize.cut(activity.Heard(~flags, flags, flags))
    assert all((p.last - p.first) * activity.STEP <= diarize.LONGEST for p in pieces)
    assert (pieces[0].first, pieces[-1].last) == (0, 1000)


def test_like_vectors_are_one_person_and_unlike_ones_two() -> None:
    chance = np.random.default_rng(0)
    ada, bob = chance.normal(size=(2, 64))
    voices = [ada + 0.3 * chance.normal(size=64) for _ in range(5)]
    voices += [bob + 0.3 * chance.normal(size=64) for _ in range(5)]
    vectors = np.stack([v / np.linalg.norm(v) for v in voices]).astype(np.float32)
    assert len(diarize.people(vectors)) == 2
    assert len(diarize.people(vectors[:5])) == 1


def test_pauses_with_something_loud_taken_away_are_music() -> None:
    from vc_segment import timeline

    flags = np.zeros(100, bool)
    heard = activity.Heard(flags, flags, flags)
    voices = diarize.Voices([], 1, 0, 1.0)
    loud = np.full(100_000, 0.1, np.float32)
    duration = 100 * activity.STEP
    assert timeline.rows(duration, loud, heard, voices, 0.0)[0].label == "music"
    assert timeline.rows(duration, loud * 1e-4, heard, voices, 0.0)[0].label == "silence"
