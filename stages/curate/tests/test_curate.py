"""The command: clips worth learning from, their figures, a ledger that accounts for the rest."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vc_core import audio, errors, ledger, manifests
from vc_core.audio import TTS_RATE
from vc_core.ledger import Reason
from vc_core.manifests import Clip, LedgerRow, Segment, Word
from vc_curate import cli, judge, output
from vc_curate.cut import Candidate

SECONDS = 12.0
SENTENCES = ((1.0, "arctic_a0001"), (6.5, "arctic_a0003"))


def word(start: float, end: float, text: str, **more: object) -> Word:
    return Word(
        start,
        end,
        text,
        **{  # type: ignore[arg-type]
            **{
                "confidence": 0.9,
                "stretch": 0,
                "no_speech": 0.1,
                "compression": 1.2,
                "language": "en",
            },
            **more,
        },
    )


@pytest.fixture(scope="module")
def takes(speech: Path) -> list[tuple[float, float, audio.Samples]]:
    """Two sentences of one speaker: start, end and samples, 24 kHz."""
    found = []
    for start, name in SENTENCES:
        samples = audio.read(speech / "kathleen" / "flac24k" / f"{name}.flac", TTS_RATE)[0]
        found.append((start, start + len(samples) / TTS_RATE, samples))
    return found


@pytest.fixture
def inputs(tmp_path: Path, takes: list[tuple[float, float, audio.Samples]]) -> list[str]:
    """A command line over 12 s with two sentences that lie 1.7 s apart."""
    vocals = np.zeros(round(SECONDS * TTS_RATE), np.float32)
    rows, words, at = [], [], 0.0
    for start, end, samples in takes:
        first = round(start * TTS_RATE)
        vocals[first : first + len(samples)] = samples
        rows += [Segment(at, start, "silence"), Segment(start, round(end, 6), "target")]
        at = round(end, 6)
        words += [word(start + 0.1, start + 1.0, "A"), word(start + 1.0, end - 0.1, "sentence.")]
    rows.append(Segment(at, SECONDS, "silence"))
    audio.write(tmp_path / "vocals.flac", vocals, TTS_RATE)
    audio.write(tmp_path / "reference.wav", takes[0][2], TTS_RATE)
    manifests.write_rows(tmp_path / "segments.jsonl", rows)
    manifests.write_rows(tmp_path / "words.jsonl", words)
    names = ("vocals.flac", "segments.jsonl", "words.jsonl")
    common = ["--reference", str(tmp_path / "reference.wav"), "--voice", "v", "--source", "s"]
    return [*(str(tmp_path / name) for name in names), *common, "-o", str(tmp_path / "clips")]


def clips_of(folder: Path) -> list[Clip]:
    return manifests.read_rows(folder / "clips" / "metadata.jsonl", Clip)


def ledger_of(path: Path) -> list[LedgerRow]:
    rows = manifests.read_rows(path, LedgerRow)
    ledger.check(rows, SECONDS)
    return rows


def test_clips_have_sound_texts_and_figures(tmp_path: Path, inputs: list[str]) -> None:
    assert cli.main([*inputs, "--licence", "CC0-1.0"]) == errors.OK
    clips = clips_of(tmp_path)
    assert [clip.text for clip in clips] == ["A sentence.", "A sentence."]
    for clip in clips:
        info = soundfile.info(tmp_path / "clips" / clip.file_name)
        assert (info.samplerate, info.channels, info.format) == (24_000, 1, "FLAC")
        assert info.frames / 24_000 == pytest.approx(clip.seconds, abs=1e-4)
        assert clip.snr is not None and clip.snr > 15
        assert clip.bandwidth is not None and clip.bandwidth > 8_000
        assert (clip.licence, clip.text_from, clip.clipped) == ("CC0-1.0", "heard", 0.0)
        assert clip.rate is not None and 2 < clip.rate < 10
        samples = audio.read(tmp_path / "clips" / clip.file_name)[0]
        assert np.abs(samples[: round(0.1 * 24_000)]).max() < 0.05  # the pause it begins in
    ledger_of(tmp_path / "clips" / "ledger.jsonl")
    record = json.loads((tmp_path / "clips.run.json").read_text())
    assert sum(record["figures"]["seconds"].values()) == pytest.approx(SECONDS, abs=0.01)


def test_what_is_turned_down_stays_with_reason_figures_and_on_request_sound(
    tmp_path: Path, inputs: list[str]
) -> None:
    """The second sentence is less like the first than the reference, which is the first."""
    assert cli.main([*inputs, "--min-similarity", "0.97", "--rejected"]) == errors.OK
    assert len(clips_of(tmp_path)) == 1
    turned_down = next(
        row
        for row in ledger_of(tmp_path / "clips" / "ledger.jsonl")
        if row.reason == "low_similarity"
    )
    assert turned_down.figures and 0.5 < turned_down.figures["similarity"] < 0.97
    told = manifests.read_rows(tmp_path / "clips" / "rejected.jsonl", output.Rejected)
    assert [(row.clip, row.reason) for row in told] == [(turned_down.clip, "low_similarity")]
    assert soundfile.info(tmp_path / "clips" / told[0].file_name).samplerate == 24_000


def test_people_have_the_last_word(tmp_path: Path, inputs: list[str]) -> None:
    assert cli.main(inputs) == errors.OK
    first, second = (clip.clip for clip in clips_of(tmp_path))
    table = tmp_path / "corrections.tsv"
    table.write_text(
        f"clip\ttext\tkeep\n{first}\tAuthor of the danger trail.\tyes\n{second}\t\tno\n"
    )
    strict = [*inputs, "--corrections", str(table), "--min-dnsmos", "4.9"]
    for _ in range(2):  # it survives reruns
        assert cli.main(strict) == errors.OK
        (kept,) = clips_of(tmp_path)
        assert (kept.text, kept.written, kept.text_from) == (
            *("Author of the danger trail.", "Author of the danger trail."),
            "corrected",
        )
        assert 1 < kept.dnsmos < 4.9
        reasons = {row.clip: row.reason for row in ledger_of(tmp_path / "clips" / "ledger.jsonl")}
        assert reasons[second] == "by_hand"


def test_a_source_that_yields_nothing_says_why_and_leaves_its_ledger(
    tmp_path: Path, inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*inputs, "--min-dnsmos", "4.9"]) == errors.BAD_INPUT
    (said,) = capsys.readouterr().err.splitlines()
    assert "no clip is good enough" in said
    assert "s low_quality" in said
    assert "lower --min-dnsmos" in said
    assert not (tmp_path / "clips").exists()
    beside = tmp_path / "clips.ledger.jsonl"
    assert {"silence", "low_quality"} == {row.reason for row in ledger_of(beside)}
    assert cli.main(inputs) == errors.OK
    assert not beside.exists()


def test_a_recording_without_the_target_says_so(
    tmp_path: Path, inputs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    manifests.write_rows(tmp_path / "segments.jsonl", [Segment(0.0, SECONDS, "other", "1")])
    manifests.write_rows(tmp_path / "words.jsonl", [])
    assert cli.main(inputs) == errors.BAD_INPUT
    assert "the target speaks nowhere" in capsys.readouterr().err
    assert [row.reason for row in ledger_of(tmp_path / "clips.ledger.jsonl")] == ["other_speaker"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({}, None),
        ({"compression": 3.0}, "hallucination"),
        ({"no_speech": 0.95}, "hallucination"),
        ({"doubt": "faster than speech"}, "hallucination"),
        ({"language": "de"}, "wrong_language"),
    ],
    ids=str,
)
def test_words_that_were_not_said_are_found(fault: dict[str, object], reason: str | None) -> None:
    found = judge._text_fault([word(0.0, 1.0, "Good morning.", **fault)], "en")
    assert (found.value if found else None) == reason


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        ([3.1, 3.0, 2.9, 2.1], [True, True, True, False]),
        ([1.7, 1.6, 1.6, 1.0], [True, True, True, False]),
    ],
    ids=["clean", "noisy room"],
)
def test_the_worst_of_a_recording_goes_by_what_it_sounds_like(
    heard: list[float], kept: list[bool]
) -> None:
    clip = Candidate(0.0, 2.0, (), 2.0)
    judged = [judge.Judged(clip, None, "a", "a", "heard", {"dnsmos": mos}) for mos in heard]
    judged.append(judge.Judged(clip, None, "a", "a", "heard", {"dnsmos": 1.0}, forced=True))
    left = judge.without_the_worst(judged)
    assert [one.reason is None for one in left] == [*kept, True], "people have the last word"
    assert left[3].reason is Reason.LOW_QUALITY


@pytest.mark.parametrize(
    "wrong",
    [
        ("--min-seconds", "0.1"),
        ("--max-seconds", "11"),
        ("--min-similarity", "2"),
        ("--min-dnsmos", "0.5"),
        ("--min-dnsmos", "good"),
        ("--loudness", "0"),
        ("--sample-rate", "16000"),
    ],
    ids=str,
)
def test_a_wrong_value_ends_with_the_usage(
    inputs: list[str], wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as usage:
        cli.main([*inputs, *wrong])
    assert usage.value.code == errors.USAGE
    assert f"argument {wrong[0]}: {wrong[1]!r}" in capsys.readouterr().err
