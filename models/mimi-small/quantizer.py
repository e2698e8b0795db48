"""Training of Mimi's split residual quantizer: k-means, moving averages, code 0 out of reach.

CSM ends an utterance with a frame of zeros, so no sound may have that frame. The first codebook
keeps one coordinate that no sound uses and the decoder does not hear; ``close_zero`` puts code 0
far out along it. Then the frame of zeros cannot be heard at all, rather than being rare.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

DECAY = 0.95  # of the moving averages: the encoder moves too, and codes left behind die
DEAD = 0.1  # of the mean usage: a code that is used less begins anew
FAR = 64.0  # times the longest centre: how far out code 0 of the first codebook stands


@dataclass(frozen=True)
class Quantized:
    """Latents [batch, hidden, frames] as the decoder gets them, and what they cost."""

    latents: Tensor
    commitment: Tensor  # how far the encoder is from its codes, relative to its scale
    codes: Tensor  # [codebooks, batch, frames]


def chains(codec: Any) -> tuple[Any, Any]:
    """The two residual quantizers, whose outputs are added."""
    split = codec.quantizer
    return split.semantic_residual_vector_quantizer, split.acoustic_residual_vector_quantizer


def books(codec: Any) -> Iterator[Any]:
    """All codebooks, in the order of the codes."""
    for chain in chains(codec):
        for layer in chain.layers:
            yield layer.codebook


def set_centres(book: Any, centres: Tensor, usage: float = 1.0) -> None:
    book.embed_sum.copy_(centres * usage)
    book.cluster_usage.fill_(usage)
    book._embed = None  # computed once from the sums, and kept


def reserve(codec: Any) -> None:
    """Keep the first chain's last coordinate free: nothing goes in, nothing is heard of it.

    To be repeated after every change of the weights.
    """
    semantic, _ = chains(codec)
    with torch.no_grad():
        semantic.input_proj.weight[-1].zero_()
        semantic.output_proj.weight[:, -1].zero_()


def quantize(codec: Any, latents: Tensor, chance: torch.Generator | None, learn: bool) -> Quantized:
    """Quantize [batch, hidden, frames], in float32, with gradients straight through.

    With ``chance`` half of the batch keeps only a random number of codebooks, so that the first
    ones say the most. With ``learn`` the codebooks follow what they hear.
    """
    kept = _kept(codec, latents, chance)
    heard = torch.zeros_like(latents)
    commitments, codes, before = [], [], 0
    for chain in chains(codec):
        flat = functional.conv1d(latents, chain.input_proj.weight).transpose(1, 2)
        left, total = flat.detach(), torch.zeros_like(flat)
        for index, layer in enumerate(chain.layers):
            near, chosen = _nearest(layer.codebook, left, learn)
            total = total + near * kept[before + index][:, None, None]
            left = left - near
            codes.append(chosen)
        before += len(chain.layers)
        # Of what varies, and with its gradient: neither a constant added to all nor making all
        # smaller is to look like a mend. Both would end with every sound at one code.
        scale = flat.var(dim=(0, 1)).mean().clamp(min=1e-6)
        commitments.append((flat - total).square().mean() / scale)
        through = flat + (total - flat).detach()
        heard = heard + functional.conv1d(through.transpose(1, 2), chain.output_proj.weight)
    return Quantized(heard, torch.stack(commitments).mean(), torch.stack(codes))


def _kept(codec: Any, latents: Tensor, chance: torch.Generator | None) -> Tensor:
    """Which codebooks [codebooks, batch] are heard, as ones and zeros."""
    count, batch = sum(1 for _ in books(codec)), len(latents)
    if chance is None:
        return latents.new_ones(count, batch)
    numbers = torch.randint(1, count + 1, (batch,), generator=chance)
    numbers = torch.where(torch.rand(batch, generator=chance) < 0.5, numbers, count)
    return (torch.arange(count)[:, None] < numbers).to(latents.device, latents.dtype)


@torch.no_grad()
def _nearest(book: Any, points: Tensor, learn: bool) -> tuple[Tensor, Tensor]:
    """The centres nearest to [batch, frames, dim], and their numbers [batch, frames]."""
    flat = points.flatten(0, 1)
    chosen = torch.cdist(flat[None], book.embed[None])[0].argmin(1)
    near = functional.embedding(chosen, book.embed).view_as(points)
    if learn:
        _follow(book, flat, chosen)
    return near, chosen.view(points.shape[:-1])


def _follow(book: Any, points: Tensor, chosen: Tensor) -> None:
    """Move the centres towards the points [n, dim] that chose them; wake those none chose.

    Nothing here waits for the device, so there is no ``if``.
    """
    count = len(book.cluster_usage)
    usage = torch.zeros_like(book.cluster_usage).index_add_(
        0, chosen, torch.ones_like(chosen, dtype=book.cluster_usage.dtype)
    )
    sums = torch.zeros_like(book.embed_sum).index_add_(0, chosen, points)
    book.cluster_usage.mul_(DECAY).add_(usage, alpha=1 - DECAY)
    book.embed_sum.mul_(DECAY).add_(sums, alpha=1 - DECAY)
    mean = book.cluster_usage.mean()
    dead = book.cluster_usage < DEAD * mean
    # Spread over the points without chance, so that a resumed run does the same.
    others = points[torch.linspace(0, len(points) - 1, count, device=points.device).long()]
    book.embed_sum.copy_(torch.where(dead[:, None], others * mean, book.embed_sum))
    book.cluster_usage.copy_(torch.where(dead, mean, book.cluster_usage))
    book._embed = None


@torch.no_grad()
def fill(codec: Any, latents: Tensor, chance: torch.Generator) -> None:
    """Fill the codebooks by k-means over latents [batch, hidden, frames]."""
    for chain in chains(codec):
        left = functional.conv1d(latents, chain.input_proj.weight).transpose(1, 2).flatten(0, 1)
        for layer in chain.layers:
            book = layer.codebook
            count = len(book.cluster_usage)
            centres = k_means(left, count, chance)
            # As if they had been used so often: the first averages must not sweep them away.
            set_centres(book, centres, usage=len(left) / count)
            left = left - centres[torch.cdist(left, centres).argmin(1)]


def k_means(points: Tensor, count: int, chance: torch.Generator, rounds: int = 25) -> Tensor:
    """Centres [count, dim] of [n, dim]; an empty cluster begins anew at a random point."""
    drawn = torch.randperm(len(points), generator=chance)
    centres = points[drawn[torch.arange(count) % len(drawn)].to(points.device)].clone()
    for _ in range(rounds):
        chosen = torch.cdist(points, centres).argmin(1)
        members = torch.bincount(chosen, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, chosen, points)
        others = points[torch.randint(0, len(points), (count,), generator=chance).to(points.device)]
        means = sums / members.clamp(min=1)[:, None]
        centres = torch.where(members[:, None] > 0, means, others)
    return centres


@torch.no_grad()
def close_zero(codec: Any, codes: Tensor) -> None:
    """End the codebooks' learning: code 0 the rarest, and in the first codebook out of reach.

    ``codes`` are [codebooks, batch, frames] of sound enough to tell which are rare.
    """
    for index, book in enumerate(books(codec)):
        usage = torch.bincount(codes[index].flatten(), minlength=len(book.cluster_usage))
        set_centres(book, book.embed[usage.argsort(stable=True)].clone())
    first = next(books(codec))
    first.embed_sum[:, -1] = 0.0
    first.embed_sum[0, -1] = FAR * first.embed_sum.norm(dim=1).max().clamp(min=1.0)
    first._embed = None
    reserve(codec)


def entropy(codes: Tensor, size: int) -> list[float]:
    """Bits of each codebook's codes [codebooks, ...]; log2 of ``size`` when all are as frequent."""
    bits = []
    for row in codes.flatten(1):
        share = torch.bincount(row, minlength=size).float() / row.numel()
        bits.append(float(-(share * share.clamp(min=1e-12).log2()).sum()))
    return bits
