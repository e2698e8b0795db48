"""DNSMOS is the published one, at less work."""

import numpy as np
import pytest

from vc_core.audio import Samples
from vc_speech import quality


def voiced(seconds: float) -> Samples:
    """Something like speech: a buzz that comes and goes."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    buzz = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 20))
    return (0.1 * buzz * (np.sin(2 * np.pi * 3 * time) > 0)).astype(np.float32)


@pytest.mark.parametrize("seconds", [9.01, 12.5])
def test_it_is_the_figure_of_speechmos(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    dnsmos = pytest.importorskip("speechmos.dnsmos")
    # What only its second network hears; librosa would be compiled for it.
    blank = np.zeros((900, 120), np.float32)
    monkeypatch.setattr(dnsmos.DNSMOS, "audio_melspec", lambda *_, **__: blank)
    samples = voiced(seconds)
    theirs = float(dnsmos.run(samples, 16_000)["ovrl_mos"])
    assert quality.dnsmos(samples) == pytest.approx(theirs, abs=1e-4)


def test_silence_is_worth_the_bottom_of_the_scale() -> None:
    assert quality.dnsmos(np.zeros(16_000, np.float32)) == quality.SILENT
    assert quality.dnsmos(np.zeros(0, np.float32)) == quality.SILENT
