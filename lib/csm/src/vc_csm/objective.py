"""What CSM learns from: batches made of stored codes, and the two losses over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vc_csm import csm
from vc_csm.csm import Csm, Utterance

if TYPE_CHECKING:
    import torch

PADDING = -1  # no token's id
NOTHING = -100  # in place of a code that is to be predicted: counts nothing in a loss


@dataclass(frozen=True)
class Batch:
    """Clips padded on the right to the longest of them, on the CPU.

    ``ids`` are [clips, positions]. ``codes`` are [frames, codebooks], each clip's frames and its
    closing frame of zeros; ``places`` [frames] says where they stand in the flattened ids.
    ``deep`` are the indices of those frames that the depth decoder learns.
    """

    ids: torch.Tensor
    codes: torch.Tensor
    places: torch.Tensor
    deep: torch.Tensor


def make_batch(
    model: Csm,
    clips: Sequence[Utterance],
    kept: Sequence[torch.Tensor | None] = (),
    even: bool | None = None,
) -> Batch:
    """Lay clips beside each other; ``even`` (default: on a GPU) pads them to one of few lengths.

    ``kept`` has for every clip [frames] of bool, or None for all of them: False leaves a frame
    out of the depth decoder's loss. The closing frame always stays in it.
    """
    import torch

    config = model.model.config
    rows = [csm.prompt(model.processor, [], clip.text, len(clip.codes)) for clip in clips]
    # What pads on the right does not matter: nothing before it attends to it, nor is it learnt.
    longest = max(map(len, rows))
    ids = torch.full((len(rows), rounded(longest) if _even(model, even) else longest), PADDING)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.from_numpy(row)
    learnt = []
    for index, clip in enumerate(clips):
        mask = kept[index] if kept else None
        frame_mask = torch.ones(len(clip.codes), dtype=torch.bool) if mask is None else mask
        learnt.append(torch.cat([frame_mask, torch.ones(1, dtype=torch.bool)]))
    return Batch(
        ids.clamp(min=0),
        csm.closed(clips, config),
        csm.sounding(ids, config),
        torch.cat(learnt).nonzero()[:, 0],
    )


def rounded(count: int) -> int:
    """The next of few sizes, at most a sixteenth above ``count``.

    A GPU meets every size for a first time, which takes as long as the step itself: libraries
    choose their kernels for it, and memory is cut anew.
    """
    step = 1 << max(0, count.bit_length() - 5)
    return -(-count // step) * step


def losses(model: Csm, batch: Batch, even: bool | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed cross-entropy of the backbone (first codebook) and the depth decoder (the others).

    Over ``len(batch.codes)`` frames, and over ``len(batch.deep)`` frames times one codebook less
    than there are. Divided by these they are the losses of CSM's own forward pass on waveforms,
    at less cost: no codec, and only learnt positions go through the output layers. With ``even``
    (default: on a GPU) these are filled up to one of few sizes, by frames that count nothing.
    """
    from torch.nn.functional import cross_entropy, pad

    base = csm.base_of(model.model)
    codes, places, deep = (
        part.to(base.device, non_blocking=True) for part in (batch.codes, batch.places, batch.deep)
    )
    embeddings = csm.embed(base, batch.ids, codes, places)
    hidden = _causal(base.backbone_model, embeddings).flatten(0, 1)
    first, others = codes[:, 0], codes[deep, 1:]
    if _even(model, even):
        more, deeper = (rounded(len(part)) - len(part) for part in (places, deep))
        places, deep = pad(places, (0, more), value=1), pad(deep, (0, deeper))
        first, others = (
            pad(first, (0, more), value=NOTHING),
            pad(others, (0, 0, 0, deeper), value=NOTHING),
        )
    # What stands at a position is predicted from the one before.
    hidden = hidden[places - 1]
    summed: dict[str, Any] = {"reduction": "sum", "ignore_index": NOTHING}
    backbone = cross_entropy(base.lm_head(hidden).float(), first, **summed)
    logits = _depth_logits(base.depth_decoder, hidden[deep], codes[deep])
    depth = cross_entropy(logits.flatten(0, 1).float(), others.flatten(), **summed)
    return backbone, depth


def _even(model: Csm, wanted: bool | None) -> bool:
    return csm.base_of(model.model).device.type == "cuda" if wanted is None else wanted


def mean_losses(model: Csm, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy of the backbone and of the depth decoder."""
    backbone, depth = losses(model, batch)
    return backbone / len(batch.codes), depth / (len(batch.deep) * (batch.codes.shape[1] - 1))


def _depth_logits(decoder: Any, hidden: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Logits [frames, codebooks - 1, vocabulary] of every codebook after the first."""
    import torch

    model = decoder.model
    before = codes[:, :-1]
    offsets = torch.arange(before.shape[1], device=codes.device) * model.vocab_size
    said = model.embed_tokens(before + offsets)
    inputs = torch.cat([hidden[:, None].to(said.dtype), said], dim=1)
    out = _causal(model, model.inputs_embeds_projector(inputs))[:, 1:]
    heads = decoder.codebooks_head.weight
    return torch.einsum("nkd,kdv->nkv", out, heads)


def _causal(model: Any, inputs: torch.Tensor) -> torch.Tensor:
    """One of CSM's transformers over inputs [rows, positions, width], each seeing those before.

    Layer by layer: their attention is causal by itself where it is given no mask, which is also
    its fastest kind. The model's own forward pass would make a mask, and in transformers 5.23
    fails at it when the depth decoder has as many rows as there are codebooks.
    """
    import torch

    places = torch.arange(inputs.shape[1], device=inputs.device)[None]
    turns = model.rotary_emb(inputs, places)
    for layer in model.layers:
        inputs = layer(inputs, position_ids=places, position_embeddings=turns)
    hidden: torch.Tensor = model.norm(inputs)
    return hidden
