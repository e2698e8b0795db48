"""What the device does at most: products of large bf16 matrices, and copies in its memory."""

import flops
import synthesize

from gpu.bench import Bench


def measure(bench: Bench) -> None:
    """Two rows: operations and bytes a second."""
    scale = bench.scale
    rate = flops.matrix_rate(bench.device, scale.matrix)
    bench.row("bf16 matrix product", side=scale.matrix, **{"TFLOP/s": rate / 1e12})
    copied = synthesize.copy_rate(bench.device, scale.copied)
    bench.row("copy, read and written", **{"GB/s": copied / 1e9})
