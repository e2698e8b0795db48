"""Clips begin and end in pauses, and every second has a fate."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vc_common import audio, errors, ledger, manifests
from vc_common.manifests import Clip, LedgerRow, Segment, Word
from vc_curate import cli, cut, judge


def segments(*rows: tuple[str, float]) -> list[Segment]:
    """Rows from (label, seconds) in order."""
    made, at = [], 0.0
    for label, seconds in rows:
        made.append(Segment(round(at, 6), round(at + seconds, 6), label))
        at += seconds
    return made


def words(*rows: tuple[float, float, str]) -> list[Word]:
    return [Word(start, end, word, 0.9, 0, 0.1, 1.2, "en") for start, end, word in rows]


def spans(cuts: cut.Cuts) -> list[tuple[float, float]]:
    return [(round(c.start, 3), round(c.end, 3)) for c in cuts.candidates]


def test_clips_reach_into_the_pauses_around_but_not_beyond() -> None:
    rows = segments(("silence", 1.0), ("target", 3.0), ("silence", 0.1), ("other", 2.0))
    cuts = cut.into_clips(rows, words((1.1, 3.9, "Hello.")), 1.0, 10.0)
    assert spans(cuts) == [(1.0 - cut.PAD, 4.1)]
    assert cuts.candidates[0].text == "Hello."


def test_sentences_stay_whole_where_two_do_not_fit() -> None:
    rows = segments(
        ("silence", 1.0),
        ("target", 4.0),
        ("silence", 0.4),
        ("target", 3.0),
        ("silence", 0.4),
        ("target", 4.0),
        ("silence", 1.0),
    )
    said = words((1.2, 4.8, "First."), (5.5, 8.2, "second"), (8.9, 12.5, "part."))
    cuts = cut.into_clips(rows, said, 1.0, 10.0)
    assert [c.text for c in cuts.candidates] == ["First.", "second part."]
    assert all(c.end - c.start <= 10.0 for c in cuts.candidates)


def test_speech_that_someone_touches_is_not_kept() -> None:
    rows = segments(
        ("silence", 1.0), ("target", 3.0), ("silence", 0.3), ("target", 2.0), ("overlap", 1.0)
    )
    said = words((1.1, 3.9, "Kept."), (4.4, 6.2, "cut"))
    cuts = cut.into_clips(rows, said, 1.0, 10.0)
    assert [c.text for c in cuts.candidates] == ["Kept."]
    assert [(r.start, r.reason) for r in cuts.dropped] == [(4.3, "overlap")]


def test_short_and_wordless_speech_is_dropped_with_its_reason() -> None:
    rows = segments(("silence", 2.0), ("target", 0.4), ("silence", 2.0), ("target", 3.0))
    cuts = cut.into_clips(rows, words((2.1, 2.3, "Oh.")), 1.0, 10.0)
    assert cuts.candidates == []
    assert [r.reason for r in cuts.dropped] == ["too_short", "no_words"]


def test_speech_without_a_pause_ends_at_gaps_between_words_or_is_too_long() -> None:
    rows = segments(("silence", 1.0), ("target", 14.0), ("silence", 1.0))
    gap = words((1.0, 7.9, "long."), (8.1, 15.0, "longer."))
    assert [c.text for c in cut.into_clips(rows, gap, 1.0, 10.0).candidates] == ["long.", "longer."]
    solid = cut.into_clips(rows, words((1.0, 15.0, "endless")), 1.0, 10.0)
    assert [r.reason for r in solid.dropped] == ["too_long"]


def test_every_word_belongs_to_one_clip() -> None:
    rows = segments(
        ("silence", 1.0), ("target", 3.0), ("silence", 0.3), ("target", 3.0), ("silence", 1.0)
    )
    # Whisper places words a little outside their speech.
    said = words((0.7, 0.95, "If"), (1.2, 3.9, "so."), (4.1, 4.4, "Then"), (4.4, 7.0, "go."))
    cuts = cut.into_clips(rows, said, 1.0, 4.0)
    assert [c.text for c in cuts.candidates] == ["If so.", "Then go."]


def test_text_that_cannot_have_been_said_is_found() -> None:
    def fault(text: str, seconds: float, **changes: float | str) -> str | None:
        word = {**vars(words((0.0, 1.0, text))[0]), **changes}
        candidate = cut.Candidate(0.0, seconds, (Word(**word),))
        found = judge._text_fault(candidate, "en")
        return found.value if found else None

    assert fault("Good morning.", 1.5) is None
    assert fault("Thank you for watching. " * 4, 1.5) == "hallucination"
    assert fault("Good morning.", 1.5, compression=3.0) == "hallucination"
    assert fault("Good morning.", 1.5, no_speech=0.95) == "hallucination"
    assert fault("Guten Morgen.", 1.5, language="de") == "wrong_language"


def test_loudness_is_set_and_peaks_stay_below_the_ceiling() -> None:
    import pyloudnorm

    time = np.arange(48_000) / 24_000
    quiet = (0.01 * np.sin(2 * np.pi * 300 * time)).astype(np.float32)
    finished, loudness = judge._normalise(quiet, -23.0)
    assert loudness == pytest.approx(-23.0, abs=0.01)
    measured = pyloudnorm.Meter(24_000).integrated_loudness(finished)
    assert measured == pytest.approx(-23.0, abs=0.2)
    peaky = quiet.copy()
    peaky[24_000] = 0.9
    assert np.abs(judge._normalise(peaky, -10.0)[0]).max() <= judge.CEILING + 1e-6


def write_inputs(folder: Path, vocals: audio.Samples, rows: Sequence[Segment]) -> list[str]:
    audio.write(folder / "vocals.flac", vocals, 24_000)
    audio.write(folder / "reference.wav", vocals, 24_000)
    manifests.write_rows(folder / "segments.jsonl", rows)
    said = words((1.1, 3.0, "A"), (3.1, 3.9, "sentence."))
    manifests.write_rows(folder / "words.jsonl", said)
    names = ("vocals.flac", "segments.jsonl", "words.jsonl")
    common = ["--reference", str(folder / "reference.wav"), "--voice", "v", "--source", "s"]
    return [*(str(folder / name) for name in names), *common, "-o", str(folder / "clips")]


def test_the_command_writes_clips_metadata_and_a_ledger_that_tiles(
    tmp_path: Path, speech: Path
) -> None:
    one, _ = audio.read(speech / "kathleen" / "flac24k" / "arctic_a0001.flac", 24_000)
    vocals = np.zeros(6 * 24_000, np.float32)
    vocals[24_000 : 24_000 + len(one)] = one[: 5 * 24_000]
    rows = segments(("silence", 1.0), ("target", len(one) / 24_000), ("silence", 1.0))
    rows = [*rows[:2], Segment(rows[1].end, 6.0, "silence")]
    argv = write_inputs(tmp_path, vocals, rows)
    assert cli.main([*argv, "--licence", "CC0-1.0", "--min-dnsmos", "1"]) == errors.OK
    clips = manifests.read_rows(tmp_path / "clips" / "metadata.jsonl", Clip)
    assert [c.text for c in clips] == ["A sentence."]
    info = soundfile.info(tmp_path / "clips" / clips[0].file_name)
    assert (info.samplerate, info.channels, info.format) == (24_000, 1, "FLAC")
    assert info.frames / 24_000 == pytest.approx(clips[0].seconds, abs=1e-4)
    assert clips[0].licence == "CC0-1.0"
    told = manifests.read_rows(tmp_path / "clips" / "ledger.jsonl", LedgerRow)
    ledger.check(told, 6.0)
    record = json.loads((tmp_path / "clips.run.json").read_text())
    assert sum(record["figures"]["seconds"].values()) == pytest.approx(6.0, abs=0.01)


def test_a_source_that_yields_nothing_fails_with_its_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 6 * 24_000).astype(np.float32)
    rows = segments(("silence", 1.0), ("target", 3.0), ("silence", 2.0))
    argv = write_inputs(tmp_path, noise, rows)
    assert cli.main([*argv, "--min-similarity", "0"]) == errors.BAD_INPUT
    said = capsys.readouterr().err
    assert "no clip is good enough" in said
    assert "low_quality" in said
    assert not (tmp_path / "clips").exists()
