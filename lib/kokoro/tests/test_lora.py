"""LoRA on dilated convolutions: as PEFT computes it, joined, and merged."""

from pathlib import Path

import pytest
import torch

from vc_core.errors import InputError
from vc_kokoro import adapter, lora, weights
from vc_kokoro.options import KokoroTraining
from vc_kokoro.training.fitted import Fitted


def learnt(folder: Path) -> tuple[weights.Base, Fitted]:
    base = weights.load(str(folder))
    start = next(iter(base.voices("en").values()))
    training = KokoroTraining.model_validate({"lora_r": 4})
    fitted = Fitted(base, start, torch.ones(16), training)
    torch.manual_seed(1)
    for name, weight in fitted.model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(0, 0.1)
    for bias in fitted.biases.values():
        bias.data += 0.1 * torch.randn_like(bias)
    fitted.offset.data += 0.2
    return base, fitted


def spoken(network: torch.nn.Module, voice: torch.Tensor) -> torch.Tensor:
    text = network.encode("nˈO wˈʌn")
    style = weights.style_of(voice, text.ids)
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        return network.sound(text, network.prosody(text, style), style, noise)


def test_the_joined_layers_say_what_peft_says(micro: Path) -> None:
    base, fitted = learnt(micro)
    joined = spoken(base.network, fitted.voice())
    layers = list(lora.layers(fitted.model))
    assert {layer.get_base_layer().dilation for layer in layers} == {(1,), (3,), (5,)}
    for layer in layers:
        del layer.forward  # PEFT's own again
    apart = spoken(base.network, fitted.voice())
    torch.testing.assert_close(joined, apart, atol=1e-5, rtol=1e-4)


def test_merged_it_says_the_same(micro: Path, tmp_path: Path) -> None:
    base, fitted = learnt(micro)
    before = spoken(base.network, fitted.voice())
    adapter.write_weights(tmp_path, fitted.model, fitted.voice(), fitted.biases)
    told = {"mixture": {"af_one": 1.0}, "base_weights": weights.fingerprint(base)}
    (tmp_path / "training.json").write_text(str(told).replace("'", '"'), "utf-8")

    fresh = weights.load(str(micro))
    plain = spoken(fresh.network, next(iter(fresh.voices("en").values())))
    voice = adapter.load(fresh, tmp_path, whole=True)
    after = spoken(fresh.network, voice)
    torch.testing.assert_close(before, after, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(plain, after, atol=1e-2)


def test_the_voice_pack_has_the_stock_voices_shape(micro: Path, tmp_path: Path) -> None:
    _, fitted = learnt(micro)
    adapter.write_weights(tmp_path, fitted.model, fitted.voice(), fitted.biases)
    voice = weights.read_voice(tmp_path / "voice.safetensors", 16)
    torch.testing.assert_close(voice, fitted.voice())


def test_a_state_comes_back_as_it_was(micro: Path) -> None:
    _, fitted = learnt(micro)
    state = fitted.state()
    before = spoken(fitted.network, fitted.voice())
    for value in fitted.matrices():
        value.data.zero_()
    fitted.offset.data.zero_()
    fitted.restore(state)
    torch.testing.assert_close(before, spoken(fitted.network, fitted.voice()))


def test_an_adapter_of_another_base_is_refused(micro: Path, tmp_path: Path) -> None:
    base = weights.load(str(micro))
    (tmp_path / "training.json").write_text(
        '{"mixture": {}, "base_weights": "0123", "base_model": "theirs"}', "utf-8"
    )
    with pytest.raises(InputError, match=r"another base model .theirs."):
        adapter.load(base, tmp_path, whole=False)
