"""The engines that stages share, on real speech."""

from pathlib import Path

import numpy as np
import pytest

from vc_core import audio, models
from vc_core.errors import InputError
from vc_speech import quality, text
from vc_speech.whisper import Transcriber


@pytest.fixture(scope="module")
def kathleen(speech: Path) -> list[audio.Samples]:
    names = sorted((speech / "kathleen" / "flac24k").glob("*.flac"))[:3]
    return [audio.read(name, audio.ENGINE_RATE)[0] for name in names]


def test_noise_lowers_dnsmos(kathleen: list[audio.Samples]) -> None:
    clean = kathleen[1]
    noisy = clean + np.random.default_rng(0).normal(0, 0.03, len(clean)).astype(np.float32)
    assert quality.dnsmos(clean) > quality.dnsmos(noisy) + 0.3
    assert quality.dnsmos(np.zeros(16_000, np.float32)) == quality.SILENT


def test_whisper_hears_what_was_said(kathleen: list[audio.Samples], speech: Path) -> None:
    heard = Transcriber("package:whisper-base").hear(kathleen[2], "en")
    said = (speech / "kathleen" / "metadata.csv").read_text("utf-8").splitlines()[2].split("|")[1]
    assert text.word_error_rate([said], [heard.text]) <= 0.25
    assert [w.start for w in heard.words] == sorted(w.start for w in heard.words)
    assert all(0 <= w.confidence <= 1 for w in heard.words)


def test_word_error_rate_ignores_case_and_punctuation() -> None:
    assert text.comparable("It’s  Fine — really!") == "it's fine really"
    assert text.word_error_rate(["Hello, world."], ["hello world"]) == 0.0
    assert text.word_error_rate(["one two three four"], ["one too three"]) == 0.5
    assert text.word_error_rate(["one two"], [""]) == 1.0
    with pytest.raises(ValueError, match="no reference"):
        text.word_error_rate(["..."], ["x"])


def test_model_names(tmp_path: Path) -> None:
    assert models.resolve(str(tmp_path)) == str(tmp_path)
    assert models.resolve("unsloth/csm-1b") == "unsloth/csm-1b"
    assert (Path(models.resolve("package:resemblyzer")) / "pretrained.pt").is_file()
    with pytest.raises(InputError, match="not known; there are"):
        models.resolve("package:nothing")
    with pytest.raises(InputError, match="no such folder"):
        models.resolve("./nothing/here")
    with pytest.raises(InputError, match="is not installed"):
        models.package_folder("no_such_package")
