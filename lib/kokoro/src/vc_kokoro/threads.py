"""How Kokoro uses a CPU's cores: an utterance a core.

Its convolutions are small: threads that share one wait for each other longer than they work. Two
utterances on a core each take half the time of one after the other on two.
"""

from __future__ import annotations

import os

import torch


def cores() -> int:
    """CPU cores that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def settle(device: str) -> None:
    """Let torch compute with one thread on a CPU. Subnormal numbers slow CPUs down."""
    torch.set_flush_denormal(True)
    if device == "cpu":
        torch.set_num_threads(1)


def at_once(device: str) -> int:
    """Utterances to make at the same time."""
    return cores() if device == "cpu" else 1
