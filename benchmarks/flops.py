"""How much arithmetic a learnt frame needs, and how fast the card multiplies matrices.

Counted is what the model needs, not what a program does: no padding, nothing computed twice. With
LoRA a position costs

- for every number of a frozen matrix 4 operations: 2 forward, 2 backward to its input (its own
  gradient is not needed);
- for every number of a LoRA matrix 6: 2 forward, 2 to its input, 2 for its gradient;
- in every layer 12 times the attention's width times the positions attended to: scores and sums
  are 2 each forward, and twice that backward. A position attends to half the sequence on average.

The backbone has a position for every frame and every piece of text. For each frame it learns
from, the depth decoder has as many positions as there are codebooks, and one output layer for
each codebook but the first.
"""

import time
from typing import Any

FROZEN, TRAINED, ATTENDED = 4, 6, 12
SIDE = 8192  # of the matrices that measure the card
ROUNDS = 30


def per_frame(
    config: Any, text_positions: float, frames: float, rank: int, depth_fraction: float
) -> float:
    """Operations for one learnt frame of clips with so many positions of text and frames each."""
    backbone = (
        _layers(config, rank, (text_positions + frames) / 2)
        + FROZEN * config.hidden_size * config.vocab_size
    )
    depth, books = config.depth_decoder_config, config.num_codebooks
    deep = (
        books * _layers(depth, rank, books / 2)
        + books * FROZEN * config.hidden_size * depth.hidden_size
        + (books - 1) * FROZEN * depth.hidden_size * depth.vocab_size
    )
    return float(backbone * (text_positions + frames) / frames + depth_fraction * deep)


def _layers(config: Any, rank: int, attended: float) -> float:
    """Operations for one position in all layers of a transformer."""
    hidden, inner = config.hidden_size, config.intermediate_size
    head = config.head_dim or hidden // config.num_attention_heads
    queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
    shapes = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
    shapes += [(hidden, inner), (hidden, inner), (inner, hidden)]
    frozen = sum(rows * columns for rows, columns in shapes)
    lora = rank * sum(rows + columns for rows, columns in shapes)
    layer = FROZEN * frozen + TRAINED * lora + ATTENDED * queries * attended
    return float(config.num_hidden_layers * layer)


def matrix_rate(device: str = "cuda", side: int = SIDE) -> float:
    """Operations a second of the device when it multiplies large bf16 matrices."""
    import torch

    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in "ab")
    for _ in range(3):
        left @ right
    wait(device)
    started = time.perf_counter()
    for _ in range(ROUNDS):
        left @ right
    wait(device)
    return 2.0 * side**3 * ROUNDS / (time.perf_counter() - started)


def wait(device: str) -> None:
    """Until the device has done everything that was asked of it."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.synchronize()
