"""LoRA on the decoder's convolutions, through PEFT.

PEFT makes a convolution's first matrix without the base's dilation, so that it is given here. While
it trains, a layer's two matrices are joined into the base's weight before the convolution: equal in
what comes out, and cheaper than convolving twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora.layer import Conv1d
from torch import Tensor
from torch.nn import functional

from vc_core.errors import InputError
from vc_kokoro.network import Kokoro

# Residual blocks of decoder and generator, and the first and the last layer; not the source's.
TARGETS = (
    r"decoder\.((encode|decode\.\d)\.(conv1|conv2|conv1x1)"
    r"|generator\.resblocks\.\d\.convs[12]\.\d|generator\.conv_post|asr_res\.0)"
)
ALPHA = 2  # times the rank: how much the matrices' product counts


def add(network: Kokoro, rank: int, base_name: str, seed: int) -> Any:
    """The network with new LoRA matrices, which change nothing yet: a PeftModel."""
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=ALPHA * rank, target_modules=TARGETS, bias="none")
    model = get_peft_model(network, config)
    config.base_model_name_or_path = base_name
    _dilate(model)
    return model


def load(network: Kokoro, folder: Path) -> Any:
    """The network with the LoRA matrices of an adapter's folder: a PeftModel."""
    try:
        model = PeftModel.from_pretrained(network, str(folder))
    except (ValueError, OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"{folder}: not an adapter of this Kokoro ({reason}); give the folder that vc-train "
            "wrote, with its base model"
        ) from None
    _dilate(model)
    return model


def layers(model: Any) -> Iterator[Conv1d]:
    """The layers that have LoRA matrices."""
    for module in model.modules():
        if isinstance(module, Conv1d):
            yield module


def join(model: Any) -> None:
    """Let every layer convolve once, with its matrices in the weight."""
    for layer in layers(model):
        layer.forward = _Joined(layer)


class _Joined:
    """A layer's forward pass with its matrices joined into the weight."""

    def __init__(self, layer: Conv1d) -> None:
        self._base = layer.get_base_layer()
        (name,) = layer.active_adapters
        self._first, self._second = layer.lora_A[name].weight, layer.lora_B[name].weight
        self._scale = layer.scaling[name]

    def __call__(self, x: Tensor) -> Tensor:
        change = self._second[:, :, 0] @ self._first.flatten(1)
        weight = self._base.weight + self._scale * change.view_as(self._base.weight)
        base = self._base
        return functional.conv1d(x, weight, base.bias, base.stride, base.padding, base.dilation)


def _dilate(model: Any) -> None:
    for layer in layers(model):
        for first in layer.lora_A.values():
            first.dilation = layer.get_base_layer().dilation
