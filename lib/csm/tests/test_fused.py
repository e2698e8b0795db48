"""LoRA layers and norms of our own compute what PEFT's and transformers' compute."""

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model

from vc_csm import csm, objective
from vc_csm.training import fused

MICRO = Path(__file__).parents[3] / "models" / "csm-micro"


def adapted(dropout: float = 0.0) -> csm.Csm:
    """The micro CSM under LoRA of random weights, in PEFT's own layers."""
    base = csm.load(str(MICRO), "cpu")
    torch.manual_seed(0)
    config = LoraConfig(
        r=4,
        lora_alpha=6,
        lora_dropout=dropout,
        target_modules=csm.LORA_TARGETS,
        init_lora_weights=False,
    )
    return csm.Csm(get_peft_model(base.model, config), base.processor, base.name)


def learnt(model: csm.Csm, seed: int = 0) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of two clips, and the gradients of the adapter by name."""
    draw = np.random.default_rng(seed)
    clips = [
        csm.Utterance(text, draw.integers(1, 64, size=(20, 8)).astype(np.int16))
        for text in ("Say this.", "And say that, too.")
    ]
    loss = sum(objective.mean_losses(model, objective.make_batch(model, clips)))
    assert isinstance(loss, torch.Tensor)
    model.model.zero_grad()
    loss.backward()
    named = model.model.named_parameters()
    return loss.item(), {name: weight.grad for name, weight in named if weight.requires_grad}


@pytest.mark.parametrize("way", ["plain", "compiled", "checkpointing"])
def test_losses_and_gradients_are_those_of_peft(way: str) -> None:
    compiled = way == "compiled"
    if compiled and shutil.which("gcc") is None:
        pytest.skip("torch.compile needs a C++ compiler")
    model = adapted()
    ours = csm.Csm(copy.deepcopy(model.model), model.processor, model.name)
    base = csm.base_of(ours.model)
    if way == "checkpointing":
        ours.model.train()
        for part in (base.backbone_model, base.depth_decoder.model):
            part.gradient_checkpointing_enable({"use_reentrant": False})
    layers = len(base.backbone_model.layers) + len(base.depth_decoder.model.layers)
    assert fused.replace(ours, compiled) == 2 * layers
    (loss, plain), (other, fast) = learnt(model), learnt(ours)
    assert other == pytest.approx(loss, rel=1e-5)
    assert plain.keys() == fast.keys()
    for name, gradient in plain.items():
        assert gradient.dtype == fast[name].dtype == torch.float32
        torch.testing.assert_close(fast[name], gradient, rtol=1e-3, atol=1e-6)


def test_arithmetic_of_16_bits_rounds_as_peft_does() -> None:
    exact, model = adapted(), adapted()
    ours = csm.Csm(copy.deepcopy(model.model), model.processor, model.name)
    fused.replace(ours)
    errors = []
    for seed in range(4):
        wanted = torch.cat([part.flatten() for part in learnt(exact, seed)[1].values()])
        for each in (model, ours):
            with torch.autocast("cpu", torch.bfloat16):
                found = torch.cat([part.flatten() for part in learnt(each, seed)[1].values()])
            errors.append(float((found - wanted).norm() / wanted.norm()))
    assert np.mean(errors[1::2]) < 1.2 * np.mean(errors[0::2]) < 0.05


def test_an_adapter_that_is_switched_off_changes_nothing() -> None:
    model = adapted()
    fused.replace(model)
    with_adapter, _ = learnt(model)
    with model.model.disable_adapter(), torch.no_grad():
        clip = csm.Utterance("Say this.", np.ones((3, 8), np.int16))
        batch = objective.make_batch(model, [clip])
        bare = [float(part) for part in objective.mean_losses(model, batch)]
    again = csm.load(str(MICRO), "cpu")
    with torch.no_grad():
        base = [float(part) for part in objective.mean_losses(again, batch)]
    assert bare == pytest.approx(base, rel=1e-5)
    assert with_adapter != pytest.approx(sum(base), rel=1e-3)


def test_what_is_merged_or_masked_goes_the_way_of_transformers() -> None:
    model = adapted()
    assert fused.replace(model) == fused.replace(model, compiled=False)
    base = csm.base_of(model.model)
    ids = torch.from_numpy(csm.prompt(model.processor, [], "Say this.", None))[None]
    with torch.no_grad():
        embedded = base.embed_text_tokens(ids)
        places = torch.arange(ids.shape[1])[None]
        turns = base.backbone_model.rotary_emb(embedded, places)
        layer = base.backbone_model.layers[0]
        causal = torch.full((1, 1, ids.shape[1], ids.shape[1]), -torch.inf).triu(1)
        free = layer(embedded, position_ids=places, position_embeddings=turns)
        masked = layer(embedded, causal, position_ids=places, position_embeddings=turns)
        torch.testing.assert_close(masked, free, rtol=1e-4, atol=1e-5)
        merged = model.model.merge_and_unload()
        layer = merged.backbone_model.layers[0]
        again = layer(embedded, position_ids=places, position_embeddings=turns)
    torch.testing.assert_close(again, free, rtol=1e-4, atol=1e-5)


def test_layers_with_dropout_stay_as_peft_made_them() -> None:
    assert fused.replace(adapted(dropout=0.1)) == 0


def test_frames_that_fill_up_count_nothing() -> None:
    model = adapted()
    draw = np.random.default_rng(0)
    clips = [
        csm.Utterance(text, draw.integers(1, 64, size=(frames, 8)).astype(np.int16))
        for text, frames in (("Say this.", 38), ("And say that, too.", 43))
    ]
    kept = [torch.arange(len(clip.codes)) % 2 == 0 for clip in clips]
    found = []
    for even in (False, True):
        batch = objective.make_batch(model, clips, kept, even)
        for count in (len(batch.places), len(batch.deep)):
            assert objective.rounded(count) > count
        backbone, depth = objective.losses(model, batch, even)
        model.model.zero_grad()
        (backbone + depth).backward()
        weights = [weight for weight in model.model.parameters() if weight.requires_grad]
        gradient = torch.cat([weight.grad.flatten() for weight in weights])
        found.append((batch.ids.shape[1], backbone.item(), depth.item(), gradient))
    (width, *plain, wanted), (wider, *filled, gradient) = found
    assert wider > width
    assert filled == pytest.approx(plain, rel=1e-6)
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-5)


def test_sizes_are_few_and_hardly_larger() -> None:
    sizes = [objective.rounded(count) for count in range(1, 5000)]
    assert all(count <= size <= count * 17 / 16 for count, size in enumerate(sizes, 1))
    assert len({size for size in sizes if size > 1000}) < 40
