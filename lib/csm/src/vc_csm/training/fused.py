"""LoRA layers and norms that pass over memory less often than PEFT's and transformers' own.

On a GPU the matrix products of CSM's wide layers take less time than the passes over their
outputs that PEFT adds: one to scale what LoRA contributes, one to add it. Here the product of the
low-rank half adds onto the frozen one's output, and RMSNorm is one kernel. What is computed is the
same; weights, names and saved adapters stay as PEFT made them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vc_csm import csm


def replace(model: csm.Csm) -> int:
    """Give layers of backbone and depth decoder these forward passes; how many LoRA layers have.

    LoRA layers with dropout, over quantised weights, or of several adapters keep PEFT's own.
    """
    base = csm.base_of(model.model)
    replaced = 0
    for part in (base.backbone_model, base.depth_decoder.model):
        for module in part.modules():
            kind: Any = type(module)
            if _is_norm(module):
                module.__class__ = _kind(kind, normed)
            elif _is_plain_lora(module):
                module.__class__ = _kind(kind, adapted)
                replaced += 1
    return replaced


@functools.cache
def _kind(of: Any, forward: Callable[..., Tensor]) -> Any:
    """The same class with another forward pass.

    A class, because torch.compile makes code for each: a function of every module's own would be
    compiled for every layer anew.
    """
    return type(f"Fused{of.__name__}", (of,), {"forward": forward})


def normed(norm: Any, hidden: Tensor) -> Tensor:
    """RMSNorm of hidden states [..., width], in their own type."""
    with torch.autocast(hidden.device.type, enabled=False):
        weight = norm.weight.to(hidden.dtype)
        return functional.rms_norm(hidden, weight.shape, weight, norm.variance_epsilon)


def adapted(layer: Any, hidden: Tensor) -> Tensor:
    """A frozen linear layer with LoRA: hidden states [..., in] to [..., out]."""
    (name,) = layer.active_adapters
    if layer.disable_adapters or layer.merged:
        out: Tensor = layer.base_layer(hidden)
        return out
    made: Tensor = _Adapted.apply(  # type: ignore[no-untyped-call]
        hidden,
        layer.base_layer.weight,
        layer.lora_A[name].weight,
        layer.lora_B[name].weight,
        layer.scaling[name],
    )
    return made


class _Adapted(torch.autograd.Function):
    """x W' + scale (x A') B', with gradients for x, A and B."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, down: Tensor, up: Tensor, scale: float
    ) -> Tensor:
        kind = _computed_in(hidden)
        rows = hidden.reshape(-1, hidden.shape[-1]).to(kind)
        weight, down, up = weight.to(kind), down.to(kind), up.to(kind)
        low = rows @ down.T
        out = (rows @ weight.T).addmm_(low, up.T, alpha=scale)
        ctx.save_for_backward(rows, weight, down, up, low)
        ctx.scale, ctx.hidden = scale, (hidden.shape, hidden.dtype)
        return out.view(*hidden.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, down, up, low = ctx.saved_tensors
        shape, kind = ctx.hidden
        gradient = gradients[0].reshape(-1, weight.shape[0])
        lower = (gradient @ up).mul_(ctx.scale)
        to_hidden = None
        if ctx.needs_input_grad[0]:
            to_hidden = (gradient @ weight).addmm_(lower, down).view(shape).to(kind)
        to_up = (gradient.T @ low).mul_(ctx.scale)
        return to_hidden, None, (lower.T @ rows).float(), to_up.float(), None


def _computed_in(hidden: Tensor) -> torch.dtype:
    """The type that autocast asks for, else that of the hidden states."""
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return hidden.dtype


def _is_norm(module: nn.Module) -> bool:
    return hasattr(module, "variance_epsilon")


def _is_plain_lora(module: Any) -> bool:
    base: Any = getattr(module, "base_layer", None)
    if base is None or base.bias is not None or not hasattr(module, "lora_A"):
        return False
    names = module.active_adapters
    one = type(base) is nn.Linear and len(names) == 1
    return one and isinstance(module.lora_dropout[names[0]], nn.Identity)
