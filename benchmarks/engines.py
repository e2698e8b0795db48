"""What the shared engines cost, against calling the same libraries as they come.

Both sides run in this process, in turn, on the shipped interview; the ratio says how many times
faster ours is. Run it on an idle machine: ``make bench``.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vc_core import audio, models
from vc_speech import encoders, quality

RECORDING = Path(__file__).parent.parent / "examples" / "interview.opus"
ROUNDS = 5
SECONDS = 4.0  # a typical piece of speech


def seconds_of(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(name: str, ours: Callable[[], object], plain: Callable[[], object]) -> None:
    """Print medians of both, taken in turn so that noise hits both alike, and their ratio."""
    ours(), plain()
    pairs = [(seconds_of(ours), seconds_of(plain)) for _ in range(ROUNDS)]
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{name}: {mine * 1000:.0f} ms, plain {theirs * 1000:.0f} ms, ratio {theirs / mine:.2f}")


def main() -> None:
    """Compare engine by engine."""
    samples, rate = audio.read(RECORDING, audio.ENGINE_RATE)
    size = round(SECONDS * rate)
    pieces = [samples[at : at + size] for at in range(30 * rate, 50 * rate, size)]

    encoder = encoders.Resemblyzer(models.resolve("package:resemblyzer"), "cpu")
    bare = encoder._encoder
    compare(
        "speaker embedding, one thread against torch's default",
        lambda: [encoder.embed(piece) for piece in pieces],
        lambda: [bare.embed_utterance(piece) for piece in pieces],
    )

    from speechmos import dnsmos

    compare(
        "DNSMOS, short audio tiled once against speechmos' own doubling",
        lambda: [quality.dnsmos(piece) for piece in pieces],
        lambda: [dnsmos.run(np.clip(piece, -1, 1), rate) for piece in pieces],
    )


if __name__ == "__main__":
    main()
