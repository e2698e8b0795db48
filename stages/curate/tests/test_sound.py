"""Pauses and figures follow the sound of the recording, not absolute levels."""

from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
from scipy import signal

from vc_core import audio
from vc_core.audio import TTS_RATE, Samples
from vc_curate import figures, finish, sound
from vc_speech import quality, snr


def bursts(rate: int, level: float, floor: float) -> Samples:
    """Noise at ``level`` with silence at ``floor`` from 1.0 to 1.4 s, 3 s in all."""
    made = np.random.default_rng(0).normal(0, 1, 3 * rate).astype(np.float32) * np.float32(level)
    made[rate : round(1.4 * rate)] *= np.float32(floor / level)
    return made


@pytest.mark.parametrize("level", [0.3, 0.003], ids=["loud", "faint"])
@pytest.mark.parametrize("floor", [0.0, 0.01], ids=["digital silence", "noise"])
def test_pauses_are_found_at_any_level(tmp_path: Path, level: float, floor: float) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, bursts(44_100, level, floor * level), 44_100)
    with audio.opened(path) as file:
        envelope = sound.Envelope(sound.measure(file), [(0.0, 1.0), (1.4, 3.0)])
    pauses = envelope.pauses(0.0, 3.0)
    assert [(p.start, p.end) for p in pauses] == [
        (pytest.approx(1.0, abs=0.02), pytest.approx(1.4, abs=0.02))
    ]
    assert 1.1 < pauses[0].lowest < 1.3


def test_the_envelope_is_the_same_however_the_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    audio.write(path, np.tile(bursts(16_000, 0.3, 0.001), 25), 16_000)  # more than two blocks
    with audio.opened(path) as file:
        found = sound.measure(file)
    assert len(found) == 75 / sound.STEP
    assert np.abs(found[100:500] - found[100 + 12_600 : 500 + 12_600]).max() < 0.1


def spoken(speech: Path, number: int = 3) -> Samples:
    """A clip as curate cuts them: with its pauses."""
    return audio.read(speech / "kathleen" / "flac24k" / f"arctic_a{number:04d}.flac", TTS_RATE)[0]


@pytest.mark.parametrize("decibels", [20.0, 10.0, 0.0])
def test_snr_is_that_of_the_mix(speech: Path, decibels: float) -> None:
    for number in (3, 7, 12):
        clean = spoken(speech, number)
        level = snr.levels(clean, TTS_RATE)
        power = (10 ** (level[level > level.max() - 30] / 10)).mean()
        noise = np.random.default_rng(0).normal(0, 1, len(clean))
        mixed = clean + (noise * np.sqrt(power / 10 ** (decibels / 10))).astype(np.float32)
        assert snr.snr(mixed, TTS_RATE) == pytest.approx(decibels, abs=2.5)


def test_bandwidth_tells_a_telephone_from_a_microphone(speech: Path) -> None:
    for number in (3, 7, 12):
        clean = spoken(speech, number)
        filtered = signal.sosfilt(
            signal.butter(6, [300, 3400], "bandpass", fs=TTS_RATE, output="sos"), clean
        ).astype(np.float32)
        assert figures.bandwidth(clean, TTS_RATE) > 9_000
        assert 3_000 < figures.bandwidth(filtered, TTS_RATE) < 5_000
        hiss = np.random.default_rng(0).normal(0, 0.002, len(clean)).astype(np.float32)
        assert figures.bandwidth(filtered + hiss, TTS_RATE) < 5_500
        assert figures.bandwidth(audio.resample(clean, TTS_RATE, 44_100), 44_100) > 9_000


def test_clipping_is_told_at_full_scale_and_below() -> None:
    wave = np.sin(np.arange(24_000) * 0.05).astype(np.float32)
    assert quality.clipped(0.9 * wave) == 0.0
    assert quality.clipped(np.clip(1.5 * wave, -1, 1)) > 0.3
    assert quality.clipped(0.5 * np.clip(1.5 * wave, -1, 1)) > 0.3  # made quieter afterwards
    assert quality.clipped(np.zeros(100, np.float32)) == 0.0


def test_loudness_is_set_and_true_peaks_stay_below_the_ceiling() -> None:
    time = np.arange(48_000) / 24_000
    quiet = (0.01 * np.sin(2 * np.pi * 300 * time)).astype(np.float32)
    finished, loudness = finish.finish(quiet, 24_000, -23.0)
    assert loudness == pytest.approx(-23.0, abs=0.01)
    measured = pyloudnorm.Meter(24_000).integrated_loudness(finished)
    assert measured == pytest.approx(-23.0, abs=0.2)
    # At a quarter of the rate, an eighth off, all samples miss the peak by 3 dB.
    between = (0.7 * np.sin(np.pi / 2 * np.arange(48_000) + np.pi / 4)).astype(np.float32)
    assert finish.true_peak_db(between, 24_000) == pytest.approx(20 * np.log10(0.7), abs=0.2)
    loud, reached = finish.finish(between, 24_000, 0.0)
    assert finish.true_peak_db(loud, 24_000) <= -1.0 + 0.01
    assert np.abs(loud).max() < 0.65
    assert reached < 0.0
