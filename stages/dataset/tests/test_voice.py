"""What only the whole voice shows: the same recording twice, clips said at another's rate."""

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest

from vc_core import audio, errors, ledger, manifests
from vc_core.audio import TTS_RATE, Samples
from vc_core.manifests import Clip, LedgerRow
from vc_dataset import cli, duplicates, outliers


def clip(name: str, text: str = "The same words again and again.", **more: object) -> Clip:
    source, _, start = name.rpartition("-")
    told = Clip(
        name, f"{name}.flac", text, "ada", source, int(start) / 1000, int(start) / 1000 + 3.0,
        3.0, "en", "CC0-1.0", 0.9, 0.95, 3.1, -23.0, rate=14.0,
    )  # fmt: skip
    return dataclasses.replace(told, **more)  # type: ignore[arg-type]


def take(speech: Path, name: str) -> Samples:
    return audio.read(speech / "kathleen" / "flac24k" / f"{name}.flac", TTS_RATE)[0]


def encoded(samples: Samples, folder: Path, *options: str) -> Samples:
    """The samples through Opus at 24 kbit/s, as another publisher would have them."""
    audio.write(folder / "a.wav", samples, TTS_RATE)
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(folder / "a.wav"), *options]
    subprocess.run([*command, "-c:a", "libopus", "-b:a", "24k", str(folder / "a.opus")], check=True)
    return audio.read(folder / "a.opus", TTS_RATE)[0]


def alike(one: Samples, other: Samples) -> bool:
    found = duplicates.likeness(duplicates.band_envelopes(one), duplicates.band_envelopes(other))
    return found >= duplicates.ALIKE


@pytest.mark.parametrize(
    "options",
    [(), ("-af", "volume=-15dB"), ("-ss", "0.6"), ("-ar", "8000")],
    ids=["opus", "quieter", "cut elsewhere", "telephone"],
)
def test_a_recording_is_known_again_re_encoded(
    speech: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    for name in ("arctic_a0001", "arctic_a0012", "arctic_b0536"):
        samples = take(speech, name)
        assert alike(samples, encoded(samples, tmp_path, *options))


def test_a_sentence_said_twice_is_no_duplicate(speech: Path) -> None:
    """The speaker read this line two times."""
    assert not alike(take(speech, "arctic_b0536"), take(speech, "arctic_b0537"))


def test_other_speech_of_the_same_voice_is_far_from_alike(speech: Path) -> None:
    envelopes = [duplicates.band_envelopes(take(speech, f"arctic_a{n:04d}")) for n in range(1, 8)]
    others = [duplicates.likeness(a, b) for a in envelopes for b in envelopes if a is not b]
    assert max(others) < 0.5


def test_the_cleaner_of_two_stays(speech: Path) -> None:
    sounds = {"a-00001000": take(speech, "arctic_a0001")}
    sounds["b-00001000"] = sounds["c-00001000"] = 0.5 * sounds["a-00001000"]
    clips = [clip(name, dnsmos=mos) for name, mos in zip(sounds, (2.9, 3.3, 3.0), strict=True)]
    found = duplicates.find(clips, lambda one: sounds[one.clip])
    assert found == {"a-00001000": "b-00001000", "c-00001000": "b-00001000"}


def test_only_clips_that_share_words_are_compared() -> None:
    words = [f"w{n}" for n in range(40)]
    clips = [clip(f"s-{n:08d}", " ".join(words[n : n + 8])) for n in range(30)]
    pairs = {(a.start, b.start) for a, b in duplicates.candidates(clips)}
    # Eight words have six shingles of three; moved by three words, half of them are shared.
    assert pairs == {(a.start, b.start) for n, a in enumerate(clips) for b in clips[n + 1 : n + 4]}
    saying = [clip(f"s-{n:08d}", f"you know what number {n} is") for n in range(300)]
    assert not list(duplicates.candidates(saying))


def test_rates_far_from_the_voices_own_are_found() -> None:
    usual = [clip(f"s-{n:08d}", rate=14.0 + 0.1 * (n % 11)) for n in range(30)]
    odd = [clip("s-99000000", rate=24.0), clip("s-99000001", rate=5.0)]
    corrected = clip("s-99000002", rate=25.0, text_from="corrected")
    assert set(outliers.find([*usual, *odd, corrected], 4.0)) == {c.clip for c in odd}
    assert outliers.find([*usual[:15], *odd], 4.0) == {}  # too few to know
    assert outliers.find([*usual, *odd], 0) == {}


def write(folder: Path, sounds: dict[str, Samples], clips: list[Clip]) -> str:
    folder.mkdir()
    for one in clips:
        audio.write(folder / one.file_name, sounds[one.clip], TTS_RATE)
    manifests.write_rows(folder / "metadata.jsonl", clips)
    base = [LedgerRow(0.0, 100.0, False, "silence")]
    rows = [LedgerRow(c.start, c.end, True, clip=c.clip) for c in clips]
    manifests.write_rows(folder / "ledger.jsonl", ledger.tile(base, rows))
    return str(folder)


def test_the_command_leaves_them_out_and_accounts_for_them(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    names = [f"{source}-{5000 * n:08d}" for source in "ab" for n in range(11)]
    sounds = {
        name: (chance.normal(0, 0.1, 72_000) * np.repeat(chance.uniform(0, 1, 60), 1200)).astype(
            np.float32
        )
        for name in names
    }
    sounds["b-00010000"] = sounds["a-00010000"]
    clips = {
        name: clip(name, f"These are the words of {name[0]} {n}.") for n, name in enumerate(names)
    }
    for name in ("a-00010000", "b-00010000"):
        clips[name] = clip(name, dnsmos=3.0 if name[0] == "b" else 3.2)
    clips["a-00000000"] = clip("a-00000000", "Fast.", rate=40.0, text_from="captions")
    folders = [
        write(tmp_path / s, sounds, [c for c in clips.values() if c.source == s]) for s in "ab"
    ]
    argv = [*folders, "--voice", "ada", "--consent", "yes", "-o", str(tmp_path / "dataset")]
    assert cli.main(argv) == errors.OK
    for source, name, reason in (
        ("a", "a-00000000", "rate_outlier"),
        ("b", "b-00010000", "duplicate"),
    ):
        rows = manifests.read_rows(tmp_path / "dataset" / "ledger" / f"{source}.jsonl", LedgerRow)
        ledger.check(rows, 100.0)
        dropped = [row for row in rows if not row.kept and row.clip]
        assert [(row.clip, row.reason) for row in dropped] == [(name, reason)]
        assert dropped[0].figures and dropped[0].figures["dnsmos"] > 2
    card = (tmp_path / "dataset" / "README.md").read_text("utf-8")
    assert "20 heard by Whisper and not checked by people" in card
    assert cli.main([*argv, "--no-duplicates", "--rate-outliers", "0"]) == errors.OK
    card = (tmp_path / "dataset" / "README.md").read_text("utf-8")
    assert "21 heard by Whisper and not checked by people, 1 from the recordings' captions" in card


def test_a_source_given_twice_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "a", {}, [])
    argv = [folder, folder, "--voice", "ada", "--consent", "yes", "-o", str(tmp_path / "dataset")]
    assert cli.main(argv) == errors.BAD_INPUT
    assert "source 'a' is given twice" in capsys.readouterr().err
