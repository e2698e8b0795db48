"""CSM's decoding, frame by frame: static caches, and one step that a CUDA graph can replay.

transformers' ``generate`` starts a generation of its own for the depth decoder at every frame,
which costs far more than the arithmetic. Here a frame is one function over tensors that are
allocated once and changed in place. It calls the model's own layers, so that LoRA layers and
quantized ones work as they are. On CUDA the function is captured once and replayed; on the CPU
the same function runs as it stands.

Importing this module loads torch; vc_csm.csm does so when it speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

HIDDEN = -30_000.0  # added to scores that are not to be seen; half precision holds it too
ALIGNED = 16  # positions: CUDA's attention wants masks that begin at such places
GRAPH_SPAN = 256  # positions: a graph is captured for every so many, and sees no more
GRAPH_LOOK = 8  # frames between two looks at whether all rows have ended: each waits for CUDA
WARM_UP = 3  # frames before a capture, while libraries choose their kernels

Linears = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Prompt:
    """What one row continues: embeddings [positions, hidden], its seed, and its most frames."""

    embeddings: Tensor
    seed: int
    limit: int


@dataclass(frozen=True)
class Size:
    """What is allocated: rows, positions of prompt and frames together, frames."""

    rows: int
    positions: int
    frames: int

    def holds(self, other: Size) -> bool:
        """Whether ``other`` fits in, with the same number of rows."""
        return (
            self.rows == other.rows
            and self.positions >= other.positions
            and self.frames >= other.frames
        )


class Decoder:
    """Speaks several prompts at once, by the likeliest codes or by sampling."""

    def __init__(self, base: Any, size: Size, temperature: float, top_k: int) -> None:
        """``base`` is CSM itself, in eval mode. ``temperature`` 0 takes the likeliest code."""
        config, weight = base.config, base.lm_head.weight
        size = replace(size, positions=-(-size.positions // ALIGNED) * ALIGNED)
        self.size = size
        self._base = base
        self._books = config.num_codebooks
        self._eos = config.codebook_eos_token_id
        self._codes_a_book = config.codec_config.codebook_size
        self._temperature = temperature
        self._top_k = min(top_k, self._codes_a_book) if temperature > 0 else 1
        self._on_cuda = weight.device.type == "cuda"
        self._look = GRAPH_LOOK if self._on_cuda else 1
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

        self._backbone = _Stack(base.backbone_model, size.rows, size.positions)
        self._depth = _Stack(base.depth_decoder.model, size.rows, self._books)
        device = weight.device
        self._places = torch.arange(max(size.positions, self._books), device=device)
        # The depth decoder begins with two positions at once, of which the first does not see
        # the second.
        self._two = weight.new_tensor([[0.0, HIDDEN], [0.0, 0.0]])[None, None]

        # What a frame reads and changes.
        self._embedded = weight.new_zeros(size.rows, 1, config.hidden_size)
        self._mask = weight.new_full((size.rows, 1, 1, size.positions), HIDDEN)
        self._padding = torch.zeros(size.rows, dtype=torch.long, device=device)
        self._limits = torch.zeros(size.rows, dtype=torch.long, device=device)
        self._finished = torch.zeros(size.rows, dtype=torch.bool, device=device)
        self._place = torch.zeros(1, dtype=torch.long, device=device)
        self._step = torch.zeros(1, dtype=torch.long, device=device)
        self._codes = torch.zeros(
            (size.frames, size.rows, self._books), dtype=torch.long, device=device
        )
        self._noise = torch.zeros((size.frames, size.rows, self._books, self._top_k), device=device)

    def say(self, prompts: Sequence[Prompt]) -> list[tuple[Tensor, bool]]:
        """Each prompt's codes [frames, codebooks], and whether the model ended it by itself."""
        most = max(prompt.limit for prompt in prompts)
        (codes,) = self.blocks(prompts, [most])
        return [self._until_end(codes[:, row], prompt) for row, prompt in enumerate(prompts)]

    def stream(self, prompt: Prompt, sizes: Iterable[int]) -> Iterator[Tensor]:
        """One prompt's codes [frames, codebooks], block by block, as they are made.

        ``sizes`` says how many frames a block has; the last one may be shorter.
        """
        for block in self.blocks([prompt], sizes):
            codes, _ = self._until_end(block[:, 0], prompt)
            if len(codes):
                yield codes

    def blocks(self, prompts: Sequence[Prompt], sizes: Iterable[int]) -> Iterator[Tensor]:
        """Codes [frames, rows, codebooks] on the CPU, in blocks, until every row has ended.

        Rows that have ended go on with codes that mean nothing. Raises ValueError for prompts
        that do not fit in what was allocated.
        """
        longest = max(len(prompt.embeddings) for prompt in prompts)
        most = max(prompt.limit for prompt in prompts)
        if not self.size.holds(Size(self.size.rows, longest + most, most)):
            raise ValueError(f"{longest} positions and {most} frames do not fit in {self.size}")
        with torch.inference_mode():
            if self._on_cuda:
                self._capture(range(longest, longest + most))
            self._start(prompts, longest)
        made = 0
        for size in sizes:
            with torch.inference_mode():
                until = self._advance(longest, made, min(made + size, most))
                block = self._codes[made:until].to("cpu", copy=True)
                done = bool(self._finished.all())
            yield block
            made = until
            if done:
                return

    def _advance(self, longest: int, made: int, until: int) -> int:
        """Make frames from ``made`` to ``until``, or until all rows have ended; where that was."""
        for frame in range(made, until):
            self._run(longest + frame)
            if (frame + 1) % self._look == 0 and bool(self._finished.all()):
                return frame + 1
        return until

    def _until_end(self, codes: Tensor, prompt: Prompt) -> tuple[Tensor, bool]:
        """One row's codes before the closing frame, and whether there was one."""
        codes = codes[: prompt.limit]
        ended = self._ends(codes).nonzero()
        return (codes[: int(ended[0])], True) if len(ended) else (codes, False)

    def _ends(self, frames: Tensor) -> Tensor:
        """Which frames [n, codebooks] close an utterance; the last codebook does not count."""
        closing: Tensor = (frames[:, :-1] == self._eos).all(dim=1)
        return closing

    def _start(self, prompts: Sequence[Prompt], longest: int) -> None:
        """Put the prompts into the caches, all but their last position, which a frame takes."""
        rows = [*prompts, *[Prompt(prompts[0].embeddings, 0, 0)] * (self.size.rows - len(prompts))]
        embeddings = self._embedded.new_zeros(len(rows), longest, self._embedded.shape[-1])
        noise = torch.zeros(self._noise.shape)
        for index, row in enumerate(rows):
            embeddings[index, longest - len(row.embeddings) :] = row.embeddings
            if self._temperature > 0:
                noise[: row.limit, index] = self._drawn(row)
        self._noise.copy_(noise)
        self._padding.copy_(torch.tensor([longest - len(row.embeddings) for row in rows]))
        self._limits.copy_(torch.tensor([row.limit for row in rows]))
        self._finished.copy_(self._limits == 0)
        self._step.zero_()
        self._place.fill_(longest - 1)
        places = self._places[: self.size.positions]
        before = places[: longest - 1]
        padded = (places < self._padding[:, None])[:, None, None]
        self._mask.copy_((padded | (places >= longest - 1)) * HIDDEN)
        self._embedded.copy_(embeddings[:, -1:])
        if len(before):
            unseen = padded[..., : len(before)] | (before > before[:, None])
            mask = unseen.to(self._mask.dtype) * HIDDEN
            turns = (before - self._padding[:, None]).clamp(min=0)
            self._backbone(embeddings[:, :-1], turns, before, longest - 1, mask)

    def _drawn(self, row: Prompt) -> Tensor:
        """A row's noise [frames, codebooks, top_k], of its seed alone.

        The likeliest of scores plus such noise is distributed as sampling from their softmax:
        exponential draws, here as logarithms. Made on the CPU, so that any batch and any device
        draws the same.
        """
        generator = torch.Generator().manual_seed(row.seed)
        shape = (row.limit, self._books, self._top_k)
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64)
        return -self._temperature * (-uniform.log()).log()

    def _run(self, position: int) -> None:
        """One frame, at a position that the host knows, too."""
        if self._on_cuda:
            self._graphs[self._span(position)].replay()
        else:
            self._frame(position)

    def _span(self, position: int) -> int:
        """How many positions the graph sees that makes the frame at ``position``."""
        return min(-(-position // GRAPH_SPAN) * GRAPH_SPAN, self.size.positions)

    def _capture(self, positions: Iterable[int]) -> None:
        """Record the frame for every span that these positions need; the state is lost."""
        for span in sorted({self._span(position) for position in positions} - set(self._graphs)):
            for _ in range(WARM_UP):
                self._rewind()
                self._frame(span)
            graph = torch.cuda.CUDAGraph()
            pool = next(iter(self._graphs.values())).pool() if self._graphs else None
            with torch.cuda.graph(graph, pool=pool):
                self._frame(span)
            self._graphs[span] = graph

    def _rewind(self) -> None:
        """Back to the first position, so that warming up stays within what is allocated."""
        self._place.zero_()
        self._step.zero_()
        self._padding.zero_()

    def _frame(self, span: int) -> None:
        """Make every row's next frame, looking at the first ``span`` positions.

        Reads and writes the tensors made in ``__init__`` only, and nothing in it depends on
        their values: that is what makes it a graph.
        """
        base, head = self._base, self._base.depth_decoder.codebooks_head.weight
        self._mask.index_fill_(3, self._place, 0.0)
        turns = (self._place - self._padding)[:, None]
        mask = self._mask[..., :span]
        hidden = self._backbone(self._embedded, turns, self._place, span, mask)
        noise = self._noise.index_select(0, self._step)[0]
        codes = [self._draw(base.lm_head(hidden), noise[:, 0])]

        depth = base.depth_decoder.model
        heard = torch.stack([hidden, depth.embed_tokens(codes[0])], dim=1)
        for book in range(1, self._books):
            projected = depth.inputs_embeds_projector(heard)
            places = self._places[book + 1 - heard.shape[1] : book + 1]
            seen = self._two if book == 1 else None
            hidden = self._depth(projected, places[None], places, book + 1, seen)
            codes.append(self._draw(hidden @ head[book - 1], noise[:, book]))
            heard = depth.embed_tokens(codes[-1] + book * depth.vocab_size)[:, None]

        frame = torch.stack(codes, dim=1)
        self._codes.index_copy_(0, self._step, frame[None])
        self._step += 1
        self._place += 1
        self._finished |= self._ends(frame) | (self._step >= self._limits)
        self._embedded.copy_(base.backbone_model.embed_tokens(frame[:, None]))

    def _draw(self, scores: Tensor, noise: Tensor) -> Tensor:
        """One code a row [rows] from scores [rows, vocabulary] and noise [rows, top_k].

        Ids above the codebook's, which no codec can decode, are never drawn.
        """
        scores = scores[:, : self._codes_a_book].float()
        if self._top_k == 1:
            return scores.argmax(dim=1)
        best, ids = scores.topk(self._top_k)
        return ids.gather(1, (best + noise).argmax(dim=1, keepdim=True))[:, 0]


class _Stack:
    """One of CSM's two transformers, over static caches of keys and values."""

    def __init__(self, model: Any, rows: int, length: int) -> None:
        config, weight = model.config, model.norm.weight
        self._heads = config.num_attention_heads
        self._key_heads = config.num_key_value_heads
        self._size = config.head_dim
        self._norm = model.norm
        self._layers = [_Layer(layer) for layer in model.layers]
        # Keys and values of a layer side by side: heads of the one, then of the other.
        shape = (rows, 2 * self._key_heads, length, self._size)
        self._caches = [weight.new_zeros(shape) for _ in self._layers]
        self._cos, self._sin = self._turns(model, length)

    def __call__(
        self, heard: Tensor, turns: Tensor, places: Tensor, span: int, mask: Tensor | None
    ) -> Tensor:
        """The last hidden state [rows, hidden] after ``heard`` [rows, new, hidden].

        ``turns`` [rows or 1, new] are positions as the rotary embedding counts them, ``places``
        [new] where keys and values are stored. Of the caches the first ``span`` places are seen;
        ``mask`` [rows or 1, 1, new, span] is added to the scores.
        """
        rows, new, _ = heard.shape
        cos, sin = self._cos[turns].transpose(1, 2), self._sin[turns].transpose(1, 2)
        if mask is not None and new > 1:
            mask = mask.repeat(1, 1, self._heads // self._key_heads, 1)
        for layer, cache in zip(self._layers, self._caches, strict=True):
            mixed = layer.to_qkv(_normed(layer.norm, heard)).view(rows, new, -1, self._size)
            mixed = mixed.transpose(1, 2)
            turned = torch.addcmul(mixed * cos, mixed.roll(self._size // 2, -1), sin)
            cache.index_copy_(2, places, turned[:, self._heads :])
            said = self._attend(turned[:, : self._heads], cache[:, :, :span], mask)
            heard = heard + layer.out(said)
            heard = heard + layer.feed(_normed(layer.second_norm, heard))
        return _normed(self._norm, heard[:, -1])

    def _attend(self, query: Tensor, cache: Tensor, mask: Tensor | None) -> Tensor:
        """Attention [rows, new, heads * size] of queries [rows, heads, new, size].

        Query heads that share keys stand in for positions, so no key is copied for them.
        """
        rows, heads, new, size = query.shape
        keys, values = cache[:, : self._key_heads], cache[:, self._key_heads :]
        grouped = query.reshape(rows, self._key_heads, -1, size)
        out = functional.scaled_dot_product_attention(grouped, keys, values, attn_mask=mask)
        return out.reshape(rows, heads, new, size).transpose(1, 2).reshape(rows, new, heads * size)

    def _turns(self, model: Any, length: int) -> tuple[Tensor, Tensor]:
        """Cosines and sines [positions, heads, size] that turn queries and keys, not values.

        Turning takes the halves of a head crosswise, the first one negative: with the sign in
        the table it is a roll.
        """
        weight = model.norm.weight.detach()
        places = torch.arange(length, device=weight.device)[None]
        cos, sin = (table[0, :, None] for table in model.rotary_emb(weight, places))
        sin = torch.cat([-sin[..., : self._size // 2], sin[..., self._size // 2 :]], dim=-1)
        shape = (length, self._heads + self._key_heads, self._size)
        rest = weight.new_ones(length, self._key_heads, self._size)
        return torch.cat([cos.expand(shape), rest], 1), torch.cat([sin.expand(shape), 0 * rest], 1)


class _Layer:
    """A decoder layer's modules, those over the same input joined where they allow it."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.norm, self.second_norm = layer.input_layernorm, layer.post_attention_layernorm
        self.to_qkv = _joined([attention.q_proj, attention.k_proj, attention.v_proj])
        self.out = attention.o_proj
        self._to_gate_up = _joined([mlp.gate_proj, mlp.up_proj])
        self._act, self._down = mlp.act_fn, mlp.down_proj

    def feed(self, heard: Tensor) -> Tensor:
        """The feed-forward half [rows, new, hidden]."""
        gate, up = self._to_gate_up(heard).chunk(2, dim=-1)
        out: Tensor = self._down(self._act(gate) * up)
        return out


def _joined(linears: Sequence[nn.Linear]) -> Linears:
    """The outputs of several linear layers side by side, by one product where all are plain.

    Their weights then become slices of one tensor, which costs no memory and leaves the layers
    as they were. LoRA and quantized layers are called one by one.
    """
    if any(type(linear) is not nn.Linear or linear.bias is not None for linear in linears):
        return lambda heard: torch.cat([linear(heard) for linear in linears], dim=-1)
    weights = [linear.weight for linear in linears]
    lengths = [len(weight) for weight in weights]
    if not _adjacent(weights):
        # Ordinary tensors, even where inference is asked for: these may learn later.
        with torch.inference_mode(False), torch.no_grad():
            whole = torch.cat([weight.detach() for weight in weights])
        for weight, part in zip(weights, torch.split(whole, lengths), strict=True):
            weight.data = part
    shape = (sum(lengths), weights[0].shape[1])
    joined = weights[0].detach().as_strided(shape, weights[0].stride())
    return lambda heard: functional.linear(heard, joined)


def _adjacent(weights: Sequence[Tensor]) -> bool:
    """Whether weights follow one another in one storage already."""
    ends = [weight.data_ptr() + weight.numel() * weight.element_size() for weight in weights]
    starts = [weight.data_ptr() for weight in weights]
    storages = {weight.untyped_storage().data_ptr() for weight in weights}
    return len(storages) == 1 and ends[:-1] == starts[1:]


def _normed(norm: Any, heard: Tensor) -> Tensor:
    """What CSM's RMSNorm computes, by one kernel instead of eight."""
    return functional.rms_norm(heard, norm.weight.shape, norm.weight, norm.variance_epsilon)
