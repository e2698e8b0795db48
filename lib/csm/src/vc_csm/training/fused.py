"""CSM's layers under LoRA, with fewer passes over memory than PEFT's and transformers' own.

On a GPU the matrix products of CSM's wide layers take less time than the passes over their outputs
beside them: to scale what LoRA contributes and to add it, to turn queries, to gate. Here
projections of the same input are one product, in which LoRA's low rank is a few more columns; what
is computed element by element can be compiled, each function by itself, in seconds. What comes out
is the same; weights, names and saved adapters stay as PEFT made them.

Shapes: ``hidden`` is [..., width]; a LoRA layer has W [out, in], its down projection A [rank, in]
and its up projection B [out, rank]: x W' + scale (x A') B'.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from vc_csm import csm

Gradients = tuple[Tensor | None, ...]
MLP, ATTENTION = ("gate_proj", "up_proj", "down_proj"), ("q_proj", "k_proj", "v_proj", "o_proj")


class Lora(NamedTuple):
    """A LoRA layer: W [out, in], A [rank, in], B [out, rank], and the scale of what they add."""

    weight: Tensor
    down: Tensor
    up: Tensor
    scale: float


def replace(model: csm.Csm, compiled: bool = False) -> int:
    """Give the layers of backbone and depth decoder these forward passes; how many blocks have.

    ``compiled`` has torch compile what is computed element by element. Blocks that are not all
    LoRA over plain weights, of one rank and without dropout, keep PEFT's layers; so does one whose
    adapter is switched off, merged or taken away later, as long as that is so.
    """
    base = csm.base_of(model.model)
    replaced = 0
    for part in (base.backbone_model, base.depth_decoder.model):
        for layer in part.layers:
            attention, mlp = layer.self_attn, layer.mlp
            for norm in (layer.input_layernorm, layer.post_attention_layernorm):
                _give(norm, _normed)
            if _loras(attention, ATTENTION) and not attention.attention_dropout:
                _give(attention, _attended_compiled if compiled else _attended)
                replaced += 1
            if _loras(mlp, MLP) and part.config.hidden_act == "silu":
                _give(mlp, _gated_compiled if compiled else _gated)
                replaced += 1
        _give(part.norm, _normed)
    return replaced


def _give(module: Any, forward: Callable[..., Any]) -> None:
    kind: Any = type(module)
    module.__class__ = _kind(getattr(kind, "plain", kind), forward)


@functools.cache
def _kind(plain: Any, forward: Callable[..., Any]) -> Any:
    """The class ``plain`` with another forward pass, which can fall back on its own."""
    kept = {"forward": forward, "plain": plain, "original": plain.forward}
    return type(f"Fused{plain.__name__}", (plain,), kept)


def _loras(block: Any, names: Sequence[str]) -> list[Lora] | None:
    """The matrices of a block's projections.

    None unless LoRA covers all of them in the one way that is known here, and is in use.
    """
    layers = [getattr(block, name) for name in names]
    if not all(map(_is_plain_lora, layers)):
        return None
    found = []
    for layer in layers:
        (name,) = layer.active_adapters
        down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
        found.append(Lora(layer.base_layer.weight, down, up, layer.scaling[name]))
    alike = len({(len(lora.down), lora.scale) for lora in found}) == 1
    return found if alike else None


def _is_plain_lora(layer: Any) -> bool:
    base: Any = getattr(layer, "base_layer", None)
    if base is None or base.bias is not None or not hasattr(layer, "lora_A"):
        return False
    names = layer.active_adapters
    if type(base) is not nn.Linear or len(names) != 1 or layer.disable_adapters or layer.merged:
        return False
    (name,) = names
    whole = name in layer.lora_A and name not in layer.lora_variant
    return whole and isinstance(layer.lora_dropout[name], nn.Identity)


def _computed_in(hidden: Tensor) -> torch.dtype:
    """The type that autocast asks for, else that of the hidden states."""
    device = hidden.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return hidden.dtype


# The forward passes; ``self`` is the module of transformers.


def _normed(self: Any, hidden: Tensor) -> Tensor:
    """RMSNorm in the type of what comes in: one kernel instead of eight."""
    with torch.autocast(hidden.device.type, enabled=False):
        weight = self.weight.to(hidden.dtype)
        return functional.rms_norm(hidden, weight.shape, weight, self.variance_epsilon)


def _gated(self: Any, hidden: Tensor, compiled: bool = False) -> Tensor:
    """The feed-forward block."""
    loras = _loras(self, MLP)
    if loras is None:
        out: Tensor = self.original(hidden)
        return out
    kind = _computed_in(hidden)
    rows = hidden.reshape(-1, hidden.shape[-1]).to(kind)
    made: Tensor = _Gated.apply(compiled, loras[0].scale, rows, *_tensors(loras, kind))  # type: ignore[no-untyped-call]
    return made.view(*hidden.shape[:-1], -1)


def _gated_compiled(self: Any, hidden: Tensor) -> Tensor:
    return _gated(self, hidden, compiled=True)


def _attended(
    self: Any,
    hidden_states: Tensor,
    position_embeddings: tuple[Tensor, Tensor],
    attention_mask: Tensor | None = None,
    past_key_values: Any = None,
    compiled: bool = False,
    **more: Any,
) -> tuple[Tensor, None]:
    """Causal self-attention over hidden states [clips, positions, width].

    With a mask or a cache, as when transformers' own forward pass runs, it is the original.
    """
    loras = _loras(self, ATTENTION)
    if loras is None or attention_mask is not None or past_key_values is not None:
        more |= {"attention_mask": attention_mask, "past_key_values": past_key_values}
        known: tuple[Tensor, None] = self.original(hidden_states, position_embeddings, **more)
        return known
    kind = _computed_in(hidden_states)
    clips, positions, width = hidden_states.shape
    rows = hidden_states.reshape(-1, width).to(kind)
    qkv = _Joined.apply(loras[0].scale, rows, *_tensors(loras[:3], kind))  # type: ignore[no-untyped-call]
    qkv = qkv.view(clips, positions, -1, self.head_dim)
    queries = loras[0].weight.shape[0] // self.head_dim
    keys = loras[1].weight.shape[0] // self.head_dim
    turned = _Turned.apply(compiled, qkv, *_turns(position_embeddings, kind), queries + keys)  # type: ignore[no-untyped-call]
    query, key, value = torch.split(turned.transpose(1, 2), [queries, keys, keys], dim=1)
    said = functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, enable_gqa=True
    )
    said = said.transpose(1, 2).reshape(len(rows), -1)
    out: Tensor = _Joined.apply(loras[3].scale, said, *_tensors(loras[3:], kind))  # type: ignore[no-untyped-call]
    return out.view(clips, positions, -1), None


def _attended_compiled(self: Any, *args: Any, **more: Any) -> tuple[Tensor, None]:
    return _attended(self, *args, **(more | {"compiled": True}))


def _turns(tables: tuple[Tensor, Tensor], kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines [1, positions, 1, size] of the rotary embedding.

    Turning takes the halves of a head crosswise, the first one negative: with the sign in the
    table it is a roll.
    """
    cos, sin = (table.to(kind)[:, :, None] for table in tables)
    half = sin.shape[-1] // 2
    return cos, torch.cat([-sin[..., :half], sin[..., half:]], dim=-1)


# Joined projections of the same input.


def _tensors(loras: Sequence[Lora], kind: torch.dtype) -> list[Tensor]:
    """All W, then all A, then all B, in one type of number: what autograd looks at."""
    return [
        *(lora.weight.to(kind) for lora in loras),
        *(lora.down.to(kind) for lora in loras),
        *(lora.up.to(kind) for lora in loras),
    ]


def _thirds(
    tensors: Sequence[Tensor],
) -> tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]:
    """All W, all A and all B of what ``_tensors`` made."""
    count = len(tensors) // 3
    return tensors[:count], tensors[count : 2 * count], tensors[2 * count :]


def _widened(rows: Tensor, downs: Sequence[Tensor]) -> Tensor:
    """Rows [n, in] with what every down projection makes of them beside: [n, in + ranks]."""
    return torch.cat([rows, rows @ torch.cat(list(downs)).T], dim=1)


def _laid(weights: Sequence[Tensor], ups: Sequence[Tensor], scale: float) -> Tensor:
    """Weights over one another, each with its scaled up projection beside: [outs, in + ranks]."""
    width, rank = weights[0].shape[1], ups[0].shape[1]
    outs = sum(map(len, weights))
    laid = weights[0].new_zeros(outs, width + rank * len(ups))
    at, column = 0, width
    for weight, up in zip(weights, ups, strict=True):
        laid[at : at + len(weight), :width] = weight
        torch.mul(up, scale, out=laid[at : at + len(weight), column : column + rank])
        at, column = at + len(weight), column + rank
    return laid


class _Back(NamedTuple):
    """Gradients of the input [n, in], of the down and of the up projections."""

    rows: Tensor
    downs: list[Tensor]
    ups: list[Tensor]


def _unjoined(gradient: Tensor, widened: Tensor, tensors: Sequence[Tensor], scale: float) -> _Back:
    """What goes back through a joined product, from the gradient [n, outs] of what came out."""
    weights, downs, ups = _thirds(tensors)
    width, rank = weights[0].shape[1], ups[0].shape[1]
    # Its last columns are the gradients of what the down projections made, scale and all.
    back = gradient @ _laid(weights, ups, scale)
    rows, low = widened[:, :width], widened[:, width:]
    to_low = back[:, width:]
    to_downs = list(torch.split(to_low.T @ rows, rank))
    parts = torch.split(gradient, [len(weight) for weight in weights], dim=1)
    lows = torch.split(low, rank, dim=1)
    to_ups = [(part.T @ each).mul_(scale) for part, each in zip(parts, lows, strict=True)]
    return _Back(torch.addmm(back[:, :width], to_low, torch.cat(list(downs))), to_downs, to_ups)


class _Joined(torch.autograd.Function):
    """LoRA layers over the same rows [n, in]: their outputs side by side, [n, outs]."""

    @staticmethod
    def forward(ctx: Any, scale: float, rows: Tensor, *tensors: Tensor) -> Tensor:
        weights, downs, ups = _thirds(tensors)
        widened = _widened(rows, downs)
        ctx.save_for_backward(widened, *tensors)
        ctx.scale = scale
        out: Tensor = widened @ _laid(weights, ups, scale).T
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:
        widened, *tensors = ctx.saved_tensors
        back = _unjoined(gradients[0], widened, tensors, ctx.scale)
        return None, back.rows, *[None] * len(back.ups), *back.downs, *back.ups


class _Gated(torch.autograd.Function):
    """down(silu(gate(x)) up(x)) with LoRA on all three.

    The product of gate and up is made anew on the way back: it is as wide as both of them.
    """

    @staticmethod
    def forward(ctx: Any, compiled: bool, scale: float, rows: Tensor, *tensors: Tensor) -> Tensor:
        weights, downs, ups = _thirds(tensors)
        widened = _widened(rows, downs[:2])
        both = widened @ _laid(weights[:2], ups[:2], scale).T
        inner = _how(_swiglu, compiled)(both)
        low = inner @ downs[2].T
        ctx.save_for_backward(widened, both, low, *tensors)
        ctx.compiled, ctx.scale = compiled, scale
        out: Tensor = (inner @ weights[2].T).addmm_(low, ups[2].T, alpha=scale)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:
        widened, both, low, *tensors = ctx.saved_tensors
        weights, downs, ups = _thirds(tensors)
        gradient = gradients[0].contiguous()
        to_low = (gradient @ ups[2]).mul_(ctx.scale)
        to_inner = torch.cat([gradient, to_low], 1) @ torch.cat([weights[2], downs[2]])
        to_both, inner = _how(_swiglu_back, ctx.compiled)(both, to_inner)
        to_up, to_down = (gradient.T @ low).mul_(ctx.scale), to_low.T @ inner
        joined = [*weights[:2], *downs[:2], *ups[:2]]
        back = _unjoined(to_both, widened, joined, ctx.scale)
        nothing = (None, None, None)
        return None, None, back.rows, *nothing, *back.downs, to_down, *back.ups, to_up


class _Turned(torch.autograd.Function):
    """The first ``heads`` of [clips, positions, all heads, size] turned; the others as they are."""

    @staticmethod
    def forward(
        ctx: Any, compiled: bool, qkv: Tensor, cos: Tensor, sin: Tensor, heads: int
    ) -> Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.compiled, ctx.heads = compiled, heads
        turned: Tensor = _how(_turn, compiled)(qkv, cos, sin, heads)
        return turned

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:
        cos, sin = ctx.saved_tensors
        turned = _how(_turn_back, ctx.compiled)(gradients[0], cos, sin, ctx.heads)
        return None, turned, None, None, None


# Element by element; each may be compiled into one kernel.


@functools.cache
def _how(function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
    return torch.compile(function, dynamic=True) if compiled else function


def _swiglu(both: Tensor) -> Tensor:
    """[n, 2 inner], gate and up side by side, to [n, inner]."""
    gate, up = both.chunk(2, dim=1)
    return functional.silu(gate) * up


def _swiglu_back(both: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """From the gradient [n, inner]: that of gate and up side by side, and what they had made."""
    gate, up = both.chunk(2, dim=1)
    sigmoid = torch.sigmoid(gate)
    opened = gate * sigmoid
    to_gate = gradient * up * (sigmoid + opened * (1 - sigmoid))
    return torch.cat([to_gate, gradient * opened], dim=1), opened * up


def _turn(qkv: Tensor, cos: Tensor, sin: Tensor, heads: int) -> Tensor:
    """[clips, positions, all heads, size], the first ``heads`` of them turned."""
    some = qkv[:, :, :heads]
    turned = some * cos + some.roll(some.shape[-1] // 2, -1) * sin
    return torch.cat([turned, qkv[:, :, heads:]], dim=2)


def _turn_back(gradient: Tensor, cos: Tensor, sin: Tensor, heads: int) -> Tensor:
    some = gradient[:, :, :heads]
    turned = some * cos + (some * sin).roll(some.shape[-1] // 2, -1)
    return torch.cat([turned, gradient[:, :, heads:]], dim=2)
