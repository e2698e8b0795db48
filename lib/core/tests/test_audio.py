"""Audio that is written is the audio that is read."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from vc_core import audio, media, tools
from vc_core.errors import InputError


def sine(rate: int, seconds: float, hertz: float = 440.0) -> audio.Samples:
    time = np.arange(round(rate * seconds)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_round_trip(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x.{suffix}"
    audio.write(path, sine(24_000, 1.0), 24_000)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.frames) == (24_000, 1, 24_000)
    samples, rate = audio.read(path)
    assert rate == 24_000
    np.testing.assert_allclose(samples, sine(24_000, 1.0), atol=1e-4)


def test_reading_resamples_and_mixes_down(tone: Path) -> None:
    samples, rate = audio.read(tone, 16_000)
    assert rate == 16_000
    assert samples.shape == (32_000,)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * 16_000 / len(samples) == pytest.approx(440, abs=1)


def test_a_span_is_read_without_the_rest(tone: Path) -> None:
    samples, rate = audio.read_span(tone, 0.5, 0.75)
    whole, _ = audio.read(tone)
    np.testing.assert_array_equal(samples, whole[round(0.5 * rate) : round(0.75 * rate)])


def test_formats_that_libsndfile_does_not_know_go_through_ffmpeg(
    tone: Path, tmp_path: Path
) -> None:
    other = tmp_path / "tone.m4a"
    tools.run(["ffmpeg", "-v", "error", "-i", str(tone), str(other)])
    samples, rate = audio.read(other)
    assert rate == 44_100
    assert len(samples) / rate == pytest.approx(2.0, abs=0.05)
    assert media.probe(other).codec == "aac"


def test_what_is_no_audio_is_named(tmp_path: Path) -> None:
    text = tmp_path / "notes.wav"
    text.write_text("not audio at all")
    with pytest.raises(InputError, match=r"notes\.wav"):
        audio.read(text)
    with pytest.raises(InputError, match="no such file"):
        audio.read(tmp_path / "nothing.wav")


def test_a_failing_tool_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(tools.ToolError, match="No such file"):
        tools.run(["ffmpeg", "-nostdin", "-i", str(tmp_path / "nothing.wav")])
    with pytest.raises(tools.ToolError, match="not installed"):
        tools.run(["no-such-program"])


@pytest.mark.parametrize("mono", [True, False])
def test_blocks_resampled_as_one_stream_are_the_whole(tmp_path: Path, mono: bool) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (44_100 * 7 + 17, 2)).astype(np.float32)
    path = tmp_path / "noise.wav"
    soundfile.write(path, noise, 44_100, subtype="FLOAT")
    mixed = noise.mean(axis=1) if mono else noise
    whole = audio.resample(np.ascontiguousarray(mixed), 44_100, 16_000)
    with audio.opened(path) as file:
        parts = list(audio.blocks(file, 16_000, mono, seconds=0.9))
    assert len(parts) >= 7
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(audio.read(path, 16_000, mono)[0], whole)


def test_damage_in_the_middle_is_told_with_its_time(tmp_path: Path) -> None:
    path = tmp_path / "talk.flac"
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000 * 20)
    soundfile.write(path, noise, 16_000)
    stored = bytearray(path.read_bytes())
    middle = len(stored) // 2
    stored[middle : middle + 4_000] = bytes(4_000)
    path.write_bytes(stored)
    with pytest.raises(InputError, match=r"talk\.flac: damaged after \d+\.\d s"):
        audio.read(path)


def test_what_cannot_be_sought_in_is_decoded_first(tone: Path, tmp_path: Path) -> None:
    compressed = tmp_path / "tone.mp3"
    tools.run(["ffmpeg", "-v", "error", "-i", str(tone), str(compressed)])
    with audio.opened(compressed, seekable=True) as file:
        assert file.format == "WAV"
        file.seek(44_100)
        assert len(next(audio.blocks(file, seconds=0.1))) == 4_410


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        audio.read(tmp_path)
