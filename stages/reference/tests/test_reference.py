"""vc-reference gives one clear voice, and says in one line why a slice is none."""

import functools
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import yaml

from vc_core import audio, errors, files
from vc_reference import checks, cli, slices, voices
from vc_speech import encoders, quality, vad

RATE = 16_000
EXAMPLES = Path(__file__).parents[3] / "examples"
SHIPPED = EXAMPLES / "interview.opus"

# Seconds of the shipped interview that are enough here, cut in pauses: each voice alone, the host
# interrupting the guest, and the guest with music under her.
PARTS = ((0.0, 50.65), (76.2, 100.45), (161.8, 218.2))

Array = npt.NDArray[np.float32]


@pytest.fixture(scope="module", autouse=True)
def engines_work_once() -> Iterator[None]:
    """The encoder is loaded once, and each sound told apart into voices once.

    Most refusals look for a better slice in the same few sounds, and who speaks in them is what
    costs most. What each test asks of the result is still computed for it.
    """
    told: dict[tuple[bytes, checks.Ears], list[voices.Turn]] = {}
    find = voices.turns_in

    def find_once(samples: Array, ears: checks.Ears) -> list[voices.Turn]:
        key = (samples.tobytes(), ears)
        if key not in told:
            told[key] = find(samples, ears)
        return list(told[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders, "load", functools.cache(encoders.load))
        patch.setattr(voices, "turns_in", find_once)
        yield


@pytest.fixture(scope="session")
def passage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``PARTS`` of the shipped interview, one after the other, at 16 kHz.

    It has one name and one sound for all tests, so that who speaks in it is found once.
    """
    whole = audio.read(SHIPPED, RATE)[0]
    path = tmp_path_factory.mktemp("passage") / "interview.flac"
    cuts = [whole[round(start * RATE) : round(end * RATE)] for start, end in PARTS]
    soundfile.write(path, np.concatenate(cuts), RATE)
    return path


@pytest.fixture(scope="session")
def people(speech: Path) -> list[Array]:
    """Five speakers, 10 s of each at 16 kHz."""
    found = sorted((speech / "librispeech").glob("*.flac"))[:20]
    clips = (audio.read(path, RATE)[0] for path in found)
    return [clip[: 10 * RATE] for clip in clips if len(clip) >= 10 * RATE][:5]


@pytest.fixture
def interview(tmp_path: Path, people: list[Array]) -> Path:
    """2 s of silence, 10 s of one speaker, 2 s of silence, 10 s of another: 24 s."""
    still = np.zeros(2 * RATE, np.float32)
    path = tmp_path / "interview.flac"
    soundfile.write(path, np.concatenate([still, people[0], still, people[1]]), RATE)
    return path


def refer(output: Path, *arguments: str | Path) -> int:
    """Make a reference; its text is not asked for, as it costs a Whisper."""
    return cli.main(["--whisper", "none", *map(str, arguments), "-o", str(output)])


def assert_refused(
    output: Path, capfd: pytest.CaptureFixture[str], arguments: list[str | Path], *parts: str
) -> str:
    """One line that holds the parts, exit code 3, and nothing where the output would be.

    Returns that line.
    """
    before = sorted(output.parent.iterdir())
    assert refer(output, *arguments) == errors.BAD_INPUT
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1, said
    for part in parts:
        assert part in said, said
    assert sorted(output.parent.iterdir()) == before
    return said


def least_likeness() -> float:
    """What the default encoder asks of a reference."""
    encoder = encoders.load("package:campplus")
    assert encoder.thresholds is not None
    return encoder.thresholds.slice


def test_a_slice_becomes_24_khz_mono_and_ends_with_its_speech(
    interview: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "reference.wav"
    slice_ = ["--start", "0.5", "--end", "13.5", "--name", "talk-1"]
    slice_ += ["--whisper", "package:whisper-base"]
    assert refer(output, interview, *slice_) == errors.OK

    samples, rate = soundfile.read(output, dtype="float32")
    assert (rate, samples.ndim, soundfile.info(output).subtype) == (24_000, 1, "PCM_16")
    assert 8 < len(samples) / rate < 10.5
    assert 0.1 < np.max(np.abs(samples)) <= slices.PEAK + 1e-3

    told = files.read_json(output.with_suffix(".json"))
    (cut,) = told["slices"]
    assert told["source"] == "talk-1"
    assert cut["file"] == "interview.flac"
    assert 1.8 < cut["start"] < 3 and 11 < cut["end"] <= 12.2
    assert told["seconds"] == pytest.approx(len(samples) / rate, abs=0.01)
    assert 3 < told["speech_seconds"] <= told["seconds"]
    assert told["dnsmos"] > 2.5
    assert told["clipped"] == 0
    assert told["min_cosine"] > least_likeness()
    assert len(told["text"].split()) > 10
    assert sorted(path.name for path in output.parent.iterdir()) == [
        "reference.json",
        "reference.wav",
        "reference.wav.run.json",
    ]


def test_several_slices_are_joined(interview: Path, tmp_path: Path) -> None:
    output = tmp_path / "reference.wav"
    assert refer(output, interview, "--slice", "2:6", "--slice", "7:12") == errors.OK
    told = files.read_json(output.with_suffix(".json"))
    first, second = told["slices"]
    assert first["end"] <= 6 and second["start"] >= 7
    lengths = first["end"] - first["start"] + second["end"] - second["start"]
    assert told["seconds"] == pytest.approx(lengths + slices.PAUSE, abs=0.02)
    assert soundfile.info(output).duration == pytest.approx(told["seconds"], abs=0.01)


def test_whole_recordings_of_one_speaker_are_joined(tmp_path: Path, people: list[Array]) -> None:
    for name, part in [("a.wav", people[2][: 5 * RATE]), ("b.ogg", people[2][5 * RATE :])]:
        soundfile.write(tmp_path / name, part, RATE)
    output = tmp_path / "reference.wav"
    assert refer(output, tmp_path / "a.wav", tmp_path / "b.ogg") == errors.OK
    told = files.read_json(output.with_suffix(".json"))
    assert [cut["file"] for cut in told["slices"]] == ["a.wav", "b.ogg"]


def test_what_is_too_long_is_cut_in_a_pause(interview: Path, tmp_path: Path) -> None:
    output = tmp_path / "reference.wav"
    limits = ["--start", "2", "--max-seconds", "6", "--min-seconds", "2"]
    assert refer(output, interview, *limits) == errors.OK
    assert 2 < soundfile.info(output).duration <= 6
    samples = soundfile.read(output, dtype="float32")[0]
    # Nobody speaks in the last 50 ms.
    assert audio.rms_db(samples[-1200:]) < audio.rms_db(samples) - 10


def test_loud_speech_does_not_clip(tmp_path: Path, people: list[Array]) -> None:
    loud = people[3] / np.max(np.abs(people[3])) * 0.998
    soundfile.write(tmp_path / "loud.wav", loud, RATE)
    output = tmp_path / "reference.wav"
    assert refer(output, tmp_path / "loud.wav") == errors.OK
    assert np.max(np.abs(soundfile.read(output)[0])) <= slices.PEAK + 1e-3


def test_slices_that_are_not_in_the_recording_are_named(
    interview: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "reference.wav"
    named: list[str | Path] = [interview, "--name", "interview"]
    assert_refused(
        output,
        capfd,
        [*named, "--start", "500", "--end", "515"],
        "reference 500-515 s lies outside interview (24.0 s): set reference.start/end within it",
    )
    assert_refused(output, capfd, [*named, "--slice", "20:30"], "20-30 s lies outside", "24.0 s")
    assert_refused(output, capfd, [*named, "--slice", "30:"], "from 30 s lies outside")
    assert_refused(output, capfd, [*named, "--slice", "9:4"], "9-4 s", "ends before it starts")
    assert_refused(output, capfd, [*named, "--slice", "0:1.5"], "no speech")
    assert_refused(output, capfd, [*named, "--slice", "3:5"], "s of speech", "--min-seconds")
    assert_refused(
        output, capfd, [interview, interview, "--slice", "3:5"], "1 slices for 2 recordings"
    )


def test_noise_is_refused(
    tmp_path: Path, people: list[Array], capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).standard_normal(len(people[0]))
    level = np.sqrt(np.mean(people[0] ** 2))
    soundfile.write(tmp_path / "noisy.wav", people[0] + 0.7 * level * noise, RATE)
    refused = ["DNSMOS", "--min-dnsmos", "without noise"]
    assert_refused(tmp_path / "reference.wav", capfd, [tmp_path / "noisy.wav"], *refused)


def test_clipping_is_refused(
    tmp_path: Path, people: list[Array], capfd: pytest.CaptureFixture[str]
) -> None:
    driven = np.clip(4 * people[0] / np.max(np.abs(people[0])), -1, 1)
    soundfile.write(tmp_path / "clipped.wav", 0.5 * driven, RATE)
    refused = ["clipped", "--max-clipped"]
    assert_refused(tmp_path / "reference.wav", capfd, [tmp_path / "clipped.wav"], *refused)


def test_two_speakers_are_refused(
    interview: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused = ["more than one speaker", "--min-cosine", "set reference.start/end"]
    assert_refused(tmp_path / "reference.wav", capfd, [interview, "--slice", "5:20"], *refused)


@pytest.mark.parametrize("second", ["14.5:23", "14.2:17"])
def test_slices_of_two_people_are_refused(
    interview: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], second: str
) -> None:
    asked: list[str | Path] = [interview, "--slice", "2.2:5", "--slice", second, "--name", "talk"]
    refused = ["another speaker than in the other slices", "s of talk", "--min-cosine"]
    assert_refused(tmp_path / "reference.wav", capfd, asked, *refused)


def test_two_people_at_once_are_refused(
    passage: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The host begins 1.1 s before the guest has ended.
    asked: list[str | Path] = [passage, "--slice", "58.2:64.25", "--min-cosine", "-1"]
    output = tmp_path / "reference.wav"
    assert_refused(output, capfd, asked, "two people speak at once", "--max-overlap")
    assert refer(output, *asked, "--overlap-model", "none") == errors.OK
    assert refer(output, *asked, "--max-overlap", "2") == errors.OK
    (cut,) = files.read_json(output.with_suffix(".json"))["slices"]
    assert cut["overlap_seconds"] == pytest.approx(1.1, abs=0.4)


def test_a_limit_that_is_given_is_kept(
    interview: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "reference.wav"
    asked: list[str | Path] = [interview, "--slice", "2:12"]
    assert_refused(output, capfd, [*asked, "--min-cosine", "0.99"], "below 0.99 (--min-cosine)")
    assert refer(output, interview, "--slice", "5:20", "--min-cosine", "0.1") == errors.OK
    assert files.read_json(output.with_suffix(".json"))["min_cosine"] < least_likeness()


def test_the_slice_at_fault_is_named(
    tmp_path: Path, people: list[Array], capfd: pytest.CaptureFixture[str]
) -> None:
    clean, noisy = people[0][: 5 * RATE], people[0][5 * RATE :].copy()
    noise = np.random.default_rng(0).standard_normal(len(noisy)).astype(np.float32)
    noisy += 0.7 * np.sqrt(np.mean(noisy**2)) * noise
    soundfile.write(tmp_path / "a.wav", clean, RATE)
    soundfile.write(tmp_path / "b.wav", noisy, RATE)
    asked: list[str | Path] = [tmp_path / "a.wav", tmp_path / "b.wav"]
    asked += ["--name", "talk-1", "--name", "talk-2"]
    assert_refused(tmp_path / "reference.wav", capfd, asked, "s of talk-2: DNSMOS", "--min-dnsmos")
    asked += ["--name", "talk-3"]
    assert_refused(tmp_path / "reference.wav", capfd, asked, "3 names for 2 slices")


def true_spans() -> list[tuple[str, float, float]]:
    """Who speaks from when to when in the passage, and "music" where it plays."""
    told: dict[str, Any] = files.read_json(EXAMPLES / "interview.truth.json")
    whole = [(turn["speaker"], turn["start"], turn["end"]) for turn in told["turns"]]
    whole += [("music", music["start"], music["end"]) for music in told["music"]]
    spans, before = [], 0.0
    for first, last in PARTS:
        spans += [
            (who, max(since, first) - first + before, min(to, last) - first + before)
            for who, since, to in whole
            if since < last and first < to
        ]
        before += last - first
    return spans


def speakers_within(start: float, end: float) -> set[str]:
    """Who speaks in the passage within these seconds, and "music" where it plays."""
    return {who for who, since, to in true_spans() if min(end, to) - max(start, since) > 0.1}


def share_of(speaker: str) -> float:
    """How much of all speech in the passage is this speaker's."""
    spoken = [(who, to - since) for who, since, to in true_spans() if who != "music"]
    mine = sum(seconds for who, seconds in spoken if who == speaker)
    return mine / sum(seconds for _, seconds in spoken)


def test_a_refusal_says_what_would_serve_better(
    passage: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "reference.wav"
    # The guest, then the host, who begins while she speaks.
    asked: list[str | Path] = [passage, "--slice", "56.7:67.9", "--name", "interview"]
    parts = ("two people speak at once", "s would serve better")
    said = assert_refused(output, capfd, asked, *parts)
    found = re.search(r"; ([\d.]+)-([\d.]+) s would serve better", said)
    assert found is not None
    start, end = map(float, found.groups())
    assert 8 <= end - start <= 20.5
    assert speakers_within(start, end) == {"guest"}
    assert refer(output, passage, "--slice", f"{start}:{end}") == errors.OK


def test_proposals_are_of_one_voice_each_and_of_all_main_voices(
    passage: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output, clips = tmp_path / "proposals.json", tmp_path / "clips"
    asked = ["propose", str(passage), "--count", "2", "-o", str(output), "--clips", str(clips)]
    assert cli.main(asked) == errors.OK
    rows = files.read_json(output)
    heard = {row["voice"]: speakers_within(row["start"], row["end"]) for row in rows}
    assert heard == {"A": {"guest"}, "B": {"host"}}
    assert all(len(speakers_within(row["start"], row["end"])) == 1 for row in rows)
    for row in rows:
        assert 8 <= row["end"] - row["start"] <= 20.5
        assert row["dnsmos"] > 2.5 and row["snr_db"] > 20
        assert row["likeness"] is None or row["likeness"] > least_likeness()
    best = [row["dnsmos"] for row in rows if row["voice"] == "A"]
    assert best == sorted(best, reverse=True)
    assert next(row["share"] for row in rows) == pytest.approx(share_of("guest"), abs=0.05)

    assert len(list(clips.glob("*.wav"))) == len(rows)
    for row in rows:
        clip = clips / f"{row['voice']}-{row['start']:.1f}-{row['end']:.1f}.wav"
        assert soundfile.info(clip).duration == pytest.approx(row["end"] - row["start"], abs=0.01)
        assert soundfile.info(clip).samplerate == 24_000
    said = capfd.readouterr().out
    (guest,) = re.findall(r"^ +(reference: .*)# A$", said, re.MULTILINE)
    pasted = yaml.safe_load(guest)["reference"]
    assert pasted["source"] == "interview"
    assert (pasted["start"], pasted["end"]) == (rows[0]["start"], rows[0]["end"])
    assert (tmp_path / "proposals.json.run.json").is_file()


def test_where_nothing_can_be_proposed_it_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "still.wav", np.zeros(20 * RATE), RATE)
    for asked, mend in (
        ([tmp_path / "still.wav"], "would serve as a reference"),
        ([tmp_path / "none.wav"], "no such file"),
        ([tmp_path / "still.wav", "--max-seconds", "5"], "below --min-seconds 8"),
    ):
        assert cli.main(["propose", *map(str, asked)]) == errors.BAD_INPUT
        told = capfd.readouterr()
        assert len(told.err.splitlines()) == 1 and mend in told.err, told.err
        assert told.out == ""


def test_a_count_of_none_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "still.wav", np.zeros(RATE), RATE)
    with pytest.raises(SystemExit) as ended:
        cli.main(["propose", str(tmp_path / "still.wav"), "--count", "0"])
    assert ended.value.code == errors.USAGE
    told = capsys.readouterr()
    assert "argument --count: '0': input should be greater than or equal to 1" in told.err
    assert told.out == ""


def test_a_recording_called_propose_has_a_name_too(
    tmp_path: Path, people: list[Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "propose").open("wb") as file:
        soundfile.write(file, people[0], RATE, format="WAV")
    monkeypatch.chdir(tmp_path)
    assert refer(tmp_path / "reference.wav", "./propose") == errors.OK


def test_both_commands_explain_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    for asked, parts in (
        (["--help"], ["propose RECORDING", "--slice START:END"]),
        (["propose", "--help"], ["usage: vc-reference propose", "--clips", "./propose"]),
        (["propose", "--version"], ["vc-reference 0"]),
    ):
        with pytest.raises(SystemExit) as done:
            cli.main(asked)
        assert done.value.code == 0
        said = " ".join(capsys.readouterr().out.split())
        assert all(part in said for part in parts), said


def test_one_speaker_is_told_from_two(people: list[Array]) -> None:
    encoder = encoders.load("package:campplus")

    def likeness(samples: Array) -> float | None:
        return checks.least_likeness(samples, vad.speech_spans(samples), encoder)

    alone = [likeness(voice) for voice in people]
    mixed = [
        likeness(np.concatenate([a[: 5 * RATE], b[: 5 * RATE]]))
        for a, b in itertools.pairwise(people)
    ]
    limit = least_likeness()
    assert all(cosine is not None and cosine >= limit for cosine in alone), alone
    assert sum(cosine is not None and cosine < limit for cosine in mixed) >= len(mixed) - 1, mixed
    # Too little speech for two stretches says nothing.
    assert likeness(people[0][: 4 * RATE]) is None


def test_clipped_counts_flat_tops_at_any_level() -> None:
    time = np.arange(RATE) / RATE
    tone = np.sin(2 * np.pi * 220 * time).astype(np.float32)
    assert quality.clipped(0.9 * tone) == 0
    assert quality.clipped(np.zeros(RATE, np.float32)) == 0
    flat = np.abs(tone) >= 0.8
    assert quality.clipped(0.5 * np.clip(tone, -0.8, 0.8)) == pytest.approx(flat.mean(), rel=0.1)
    assert quality.clipped(np.clip(1.25 * tone, -1, 1)) == pytest.approx(flat.mean(), rel=0.1)


def test_bad_recordings_end_with_3_and_leave_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.wav").write_text("no audio at all\n" * 100)
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 1)), RATE)
    for name in ("missing.wav", "text.wav", "empty.wav", "."):
        output = tmp_path / "reference.wav"
        assert_refused(output, capfd, [tmp_path / name], str(tmp_path / name))


PARROT = """
from vc_speech.whisper import Heard

class Parrot:
    device = "cpu"
    def __init__(self, argument, device, threads):
        self.says = argument
    def hear(self, samples, language):
        return Heard(f"{self.says} in {language}", [], 0.0, 1.0)
"""


def test_the_text_may_come_from_a_transcriber_of_another_package(
    tmp_path: Path, interview: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "package" / "parrot-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parrot\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[voice_clone.transcriber]\nparrot = parrot:Parrot\n")
    (info.parent / "parrot.py").write_text(PARROT)
    monkeypatch.syspath_prepend(info.parent)
    monkeypatch.delitem(sys.modules, "parrot", raising=False)
    output = tmp_path / "out" / "reference.wav"
    asked = [interview, "--slice", "2:12", "--whisper", "parrot:hello", "--language", "de"]
    assert refer(output, *asked) == errors.OK
    assert files.read_json(output.with_suffix(".json"))["text"] == "hello in de"


def test_an_encoder_that_is_not_known_is_refused(
    interview: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: list[str | Path] = [interview, "--slice", "2:12", "--encoder", "package:none"]
    assert_refused(tmp_path / "reference.wav", capfd, asked, "package:none", "resemblyzer")
