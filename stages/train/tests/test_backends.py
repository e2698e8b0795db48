"""The two back ends: which is chosen, what is quantised, what trains, and with what optimizer."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vc_core.errors import InputError
from vc_csm import csm, objective
from vc_csm.training import backends

MICRO = Path(__file__).parents[3] / "models" / "csm-micro"
NAME = "some/base"
KINDS = {"none": "Linear", "8bit": "Linear8bitLt", "4bit": "Linear4bit"}


def have(monkeypatch, *packages: str) -> None:
    monkeypatch.setattr(backends, "_installed", lambda package: package in packages)


def adapted(quantize="none", *, backend="peft", device="cpu", dtype="float32", checkpointing=False):
    base = backends.load(str(MICRO), backend, device, dtype, quantize)
    return backends.lay_over(
        base,
        backend,
        r=4,
        alpha=4,
        dropout=0.0,
        targets=csm.LORA_TARGETS,
        seed=0,
        gradient_checkpointing=checkpointing,
        base_name=NAME,
    )


def gradient(model: csm.Csm) -> tuple[float, torch.Tensor]:
    """Loss of two clips and its gradient, flat and on the CPU."""
    draw = np.random.default_rng(0)
    clips = [
        csm.Utterance(text, draw.integers(1, 64, size=(20, 8)).astype(np.int16))
        for text in ("Say this.", "And say that, too.")
    ]
    model.model.train()
    loss = sum(objective.mean_losses(model, objective.make_batch(model, clips)))
    loss.backward()
    weights = [weight for weight in model.model.parameters() if weight.requires_grad]
    return loss.item(), torch.cat([weight.grad.flatten().cpu() for weight in weights])


@pytest.mark.parametrize(
    ("backend", "device", "installed", "chosen"),
    [
        ("auto", "cpu", True, "peft"),
        ("auto", "cuda", False, "peft"),
        ("auto", "cuda:1", True, "unsloth"),
        ("peft", "cuda", True, "peft"),
        ("unsloth", "cuda", True, "unsloth"),
    ],
)
def test_unsloth_where_it_can_be(backend, device, installed, chosen, monkeypatch):
    have(monkeypatch, *(["unsloth"] if installed else []))
    assert backends.choose(backend, device) == chosen


@pytest.mark.parametrize(
    ("device", "complaint"), [("cpu", "needs CUDA"), ("cuda", "not installed")]
)
def test_unsloth_where_it_cannot_be_is_one_line(device, complaint, monkeypatch):
    have(monkeypatch)
    with pytest.raises(InputError, match=complaint) as raised:
        backends.choose("unsloth", device)
    assert "\n" not in str(raised.value)


def test_without_bitsandbytes_nothing_is_quantised(monkeypatch):
    have(monkeypatch)
    with pytest.raises(InputError, match="--quantize 4bit: the package bitsandbytes"):
        backends.load(str(MICRO), "peft", "cpu", "float32", "4bit")
    with pytest.raises(InputError, match="--optimizer adamw8bit: the package bitsandbytes"):
        backends.optimizer([torch.nn.Parameter(torch.ones(2))], "adamw8bit", 0.0)


@pytest.mark.parametrize("quantize", KINDS)
def test_only_projections_are_quantised_and_only_float32_lora_trains(quantize):
    if quantize != "none":
        pytest.importorskip("bitsandbytes")
    model = adapted(quantize, dtype="bfloat16")
    base = csm.base_of(model.model)
    kinds = {
        name: type(module).__name__
        for name, module in base.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    lora = {name for name in kinds if ".lora_" in name}
    projections = {name.removesuffix(".base_layer") for name in kinds if "base_layer" in name}
    assert {kinds[f"{name}.base_layer"] for name in projections} == {KINDS[quantize]}
    assert {kinds[name] for name in kinds if "base_layer" not in name} == {"Linear"}
    assert all(name.startswith(("backbone_model", "depth_decoder")) for name in projections)
    assert len(lora) == 2 * len(projections)
    trained = [weight for weight in base.parameters() if weight.requires_grad]
    assert {weight.dtype for weight in trained} == {torch.float32}
    assert len(trained) == len(lora)
    assert {weight.dtype for weight in base.codec_model.parameters()} == {torch.float32}


@pytest.mark.parametrize("quantize", ["8bit", "4bit"])
def test_a_quantised_base_learns_in_the_same_direction(quantize):
    pytest.importorskip("bitsandbytes")
    (whole_loss, whole), (loss, quantised) = gradient(adapted()), gradient(adapted(quantize))
    assert loss == pytest.approx(whole_loss, rel=0.05)
    assert torch.cosine_similarity(whole, quantised, dim=0) > (0.99 if quantize == "8bit" else 0.8)


def test_an_8bit_base_speaks_without_the_product_that_no_graph_holds(monkeypatch):
    bitsandbytes = pytest.importorskip("bitsandbytes")
    model = adapted("8bit")
    layer = csm.base_of(model.model).backbone_model.layers[0].mlp.up_proj.base_layer
    heard = torch.randn(2, 3, layer.in_features) * 20
    learnt = layer(heard)  # its scales move from the weight to the layer's state
    weight = bitsandbytes.functional.int8_vectorwise_dequant(layer.weight.data, layer.state.SCB)
    with monkeypatch.context() as patch:
        patch.setattr(bitsandbytes, "matmul", None)
        with torch.inference_mode():
            said = layer(heard)
        torch.testing.assert_close(said, heard @ weight.T)
        assert csm.speak(model, "Say this.", temperature=0, max_seconds=1).samples.size
        with pytest.raises(TypeError), torch.no_grad():
            layer(heard)
    torch.testing.assert_close(said, learnt, atol=0.02 * learnt.abs().max(), rtol=0)


def test_checkpointing_computes_the_same():
    loss, plain = gradient(adapted())
    model = adapted(checkpointing=True)
    base = csm.base_of(model.model)
    assert base.backbone_model.gradient_checkpointing
    assert base.depth_decoder.model.gradient_checkpointing
    assert not any(
        getattr(part, "gradient_checkpointing", 0) for part in base.codec_model.modules()
    )
    again, recomputed = gradient(model)
    assert again == pytest.approx(loss, abs=1e-6)
    torch.testing.assert_close(recomputed, plain, atol=1e-6, rtol=0)


def test_the_adapter_says_which_base_was_asked_for(tmp_path):
    model = adapted()
    model.model.save_pretrained(tmp_path, save_embedding_layers=False)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == NAME
    assert config["task_type"] is None


@pytest.mark.parametrize("kind", ["adamw", "auto", "adamw8bit"])
def test_optimizers_step_and_come_back(kind, tmp_path):
    if kind == "adamw8bit":
        pytest.importorskip("bitsandbytes")
    weight = torch.nn.Parameter(torch.ones(64, 128))
    made = backends.optimizer([weight], kind, 0.1)
    assert type(made).__name__ == ("AdamW8bit" if kind == "adamw8bit" else "AdamW")
    assert made.param_groups[0]["weight_decay"] == 0.1
    weight.grad = torch.ones_like(weight)
    made.step()
    assert (weight < 1).all()
    torch.save(made.state_dict(), tmp_path / "state.pt")
    again = backends.optimizer([weight], kind, 0.1)
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert again.state[weight].keys() == made.state[weight].keys()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.skipif(importlib.util.find_spec("unsloth") is None, reason="needs unsloth")
@pytest.mark.parametrize("quantize", KINDS)
def test_unsloth_learns_what_peft_learns(quantize, tmp_path):
    made = {
        backend: adapted(quantize, backend=backend, device="cuda", dtype="bfloat16")
        for backend in ("peft", "unsloth")
    }
    with torch.autocast("cuda", torch.bfloat16):
        (loss, plain), (other, fast) = map(gradient, made.values())
    assert other == pytest.approx(loss, rel=0.02)
    assert plain.shape == fast.shape
    configs = []
    for backend, model in made.items():
        model.model.save_pretrained(tmp_path / backend, save_embedding_layers=False)
        configs.append(json.loads((tmp_path / backend / "adapter_config.json").read_text()))
        assert csm.speak(model, "Say this.", temperature=0, max_seconds=1).samples.size
    assert configs[0] == configs[1]
