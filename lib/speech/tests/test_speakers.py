"""Speaker encoders and voice activity detectors: by name, alike in use, from outside too."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from vc_core import audio
from vc_core.errors import InputError
from vc_speech import encoders, speakers, vad

RATE = audio.ENGINE_RATE
NAMES = ("package:campplus", "package:resemblyzer")

PLUGIN = '''
import numpy as np

class Loudness:
    """An encoder that hears nothing but loudness."""
    window = 1.0
    thresholds = None

    def __init__(self, argument, device):
        self.scale = float(argument or 1)

    def embed(self, samples):
        return np.array([self.scale, 0], np.float32)

    def embed_windows(self, samples, step):
        return np.zeros(1, np.float32), self.embed(samples)[None]

class Everything:
    """A detector that takes all for speech."""
    def __init__(self, argument, device):
        pass

    def spans(self, samples):
        return [(0.0, len(samples) / 16000)]
'''


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that offers an encoder and a detector."""
    (tmp_path / "outside_plugin.py").write_text(PLUGIN)
    info = tmp_path / "outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[voice_clone.encoder]\nloudness = outside_plugin:Loudness\n"
        "[voice_clone.vad]\neverything = outside_plugin:Everything\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "outside_plugin", raising=False)


@pytest.fixture(scope="module")
def kathleen(speech: Path) -> list[audio.Samples]:
    names = sorted((speech / "kathleen" / "flac24k").glob("*.flac"))[:3]
    return [audio.read(name, RATE)[0] for name in names]


@pytest.fixture(scope="module")
def stranger(speech: Path) -> audio.Samples:
    return audio.read(next(iter(sorted((speech / "librispeech").glob("*.flac")))), RATE)[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_voice_is_nearer_to_itself_than_its_thresholds_and_another_is_not(
    name: str, kathleen: list[audio.Samples], stranger: audio.Samples
) -> None:
    encoder = encoders.load(name)
    mine = [encoder.embed(clip) for clip in kathleen]
    assert encoder.thresholds is not None
    assert np.linalg.norm(mine[0]) == pytest.approx(1.0, abs=1e-4)
    assert speakers.cosine(mine[0], mine[1]) > encoder.thresholds.clip
    assert speakers.cosine(speakers.centroid(np.stack(mine[:2])), mine[2]) > (
        encoder.thresholds.voice
    )
    assert speakers.cosine(mine[0], encoder.embed(stranger)) < encoder.thresholds.voice


@pytest.mark.parametrize("name", NAMES)
def test_windows_lie_within_the_sound_and_sound_like_the_whole(
    name: str, kathleen: list[audio.Samples]
) -> None:
    encoder = encoders.load(name)
    clip = kathleen[0]
    centres, vectors = encoder.embed_windows(clip, 0.5)
    assert len(centres) == len(vectors) > 1
    assert np.diff(centres) == pytest.approx(0.5, abs=0.02)
    assert centres[0] == pytest.approx(encoder.window / 2, abs=0.02)
    assert centres[-1] + encoder.window / 2 <= len(clip) / RATE + 0.02
    assert speakers.cosine(vectors.mean(axis=0), encoder.embed(clip)) > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_any_sound_however_short_or_still_has_a_vector(
    name: str, kathleen: list[audio.Samples]
) -> None:
    encoder = encoders.load(name)
    half = kathleen[0][8_000:16_000]
    assert speakers.cosine(encoder.embed(half), encoder.embed(kathleen[0])) > 0.4
    for samples in (half[:200], np.zeros(RATE, np.float32)):
        assert np.isfinite(encoder.embed(samples)).all()
        centres, vectors = encoder.embed_windows(samples, 0.4)
        assert len(centres) == len(vectors) == 1


def test_a_hub_model_is_loaded_from_a_folder(tmp_path: Path) -> None:
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMForXVector

    small = WavLMConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        tdnn_dim=(16, 16, 16, 16, 24),
        xvector_output_dim=12,
    )
    WavLMForXVector(small).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    encoder = encoders.load(f"hub:{tmp_path}")
    sound = np.random.default_rng(0).normal(0, 0.1, 3 * RATE).astype(np.float32)
    assert encoder.embed(sound).shape == (12,)
    assert np.linalg.norm(encoder.embed(sound[:100])) == pytest.approx(1.0, abs=1e-4)
    centres, vectors = encoder.embed_windows(sound, 0.5)
    assert centres == pytest.approx([1.0, 1.5, 2.0])
    assert vectors[0] == pytest.approx(encoder.embed(sound[: 2 * RATE]), abs=1e-4)
    # Nobody has measured its scale, so a threshold has to be given.
    with pytest.raises(InputError, match="--min-similarity: auto needs an encoder whose scale"):
        speakers.threshold(encoder, "voice", "auto", "--min-similarity")
    assert speakers.threshold(encoder, "voice", 0.8, "--min-similarity") == 0.8


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the id or folder of an audio x-vector model"):
        encoders.load(f"hub:{tmp_path}")


def test_an_encoder_from_outside_is_found_by_its_name(outside: None) -> None:
    encoder = encoders.load("loudness:2")
    assert encoder.embed(np.ones(10, np.float32)).tolist() == [2.0, 0.0]
    with pytest.raises(InputError, match=r"'nobody': not known; .*package:campplus.*loudness"):
        encoders.load("nobody")


def test_auto_is_the_encoders_own_threshold() -> None:
    encoder = encoders.load("package:campplus")
    own = encoder.thresholds
    assert own is not None
    for kind in ("clip", "voice", "slice"):
        assert speakers.threshold(encoder, kind, "auto", "--x") == getattr(own, kind)


def test_one_thread_is_given_back() -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with encoders.one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_silero_finds_speech_and_nothing_else(kathleen: list[audio.Samples]) -> None:
    pause = np.zeros(RATE, np.float32)
    spans = vad.load("silero").spans(np.concatenate([pause, kathleen[0], pause]))
    assert spans[0][0] == pytest.approx(1.0, abs=0.25)
    assert spans[-1][1] == pytest.approx(1.0 + len(kathleen[0]) / RATE, abs=0.25)
    noise = np.random.default_rng(0).normal(0, 0.05, 5 * RATE).astype(np.float32)
    assert vad.speech_spans(noise) == vad.speech_spans(np.zeros(10, np.float32)) == []


def test_hearing_block_by_block_finds_the_same_speech(
    kathleen: list[audio.Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = np.zeros(RATE // 2, np.float32)
    samples = np.concatenate([part for clip in kathleen * 3 for part in (clip, pause)])
    whole = vad.speech_spans(samples)
    monkeypatch.setattr(vad, "BLOCK", 200 * vad.FRAME)
    assert len(samples) > 4 * vad.BLOCK
    blocks = vad.speech_spans(samples)
    assert all(a[1] < b[0] for a, b in pairwise(blocks))
    flags = np.zeros((2, len(samples) // 160 + 1), bool)
    for row, spans in zip(flags, (whole, blocks), strict=True):
        for start, end in spans:
            row[round(start * 100) : round(end * 100)] = True
    assert np.mean(flags[0] != flags[1]) < 0.02


def test_a_detector_from_outside_is_found_by_its_name(outside: None) -> None:
    assert vad.load("everything").spans(np.zeros(RATE, np.float32)) == [(0.0, 1.0)]
    with pytest.raises(InputError, match="'nothing': not known; there are: silero, everything"):
        vad.load("nothing")
    with pytest.raises(InputError, match="silero takes no argument"):
        vad.load("silero:6")
