"""Which voice is the target's, on vectors whose truth is known."""

import numpy as np
import pytest

from vc_core.errors import InputError
from vc_segment import target
from vc_speech.speakers import Vector

DIM = 192


def unit(vectors: Vector) -> Vector:
    out: Vector = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return out.astype(np.float32)


def voices(chance: np.random.Generator, count: int, alike: float) -> Vector:
    """Unit vectors of people, each pair of whom has a cosine of about ``alike``."""
    shared, own = chance.normal(size=DIM), chance.normal(size=(count, DIM))
    return unit(np.sqrt(alike) * unit(shared) + np.sqrt(1 - alike) * unit(own))


def test_the_target_is_the_voice_most_like_the_reference() -> None:
    ada, bob = voices(np.random.default_rng(7), 2, 0.4)
    number, alike = target.target_of(np.stack([bob, ada]), ada, 0.6, "talk")
    assert number == 1
    assert alike[1] == pytest.approx(1.0, abs=1e-5)


def test_no_voice_like_the_reference_is_refused_with_its_likeness() -> None:
    ada, bob, eve = voices(np.random.default_rng(8), 3, 0.4)
    with pytest.raises(InputError, match=r"talk: .* nearest of 2 voices is 0\.4\d like .* 0\.60"):
        target.target_of(np.stack([bob, eve]), ada, 0.6, "talk")


def test_two_voices_about_as_like_the_reference_are_refused() -> None:
    ada, bob, eve = voices(np.random.default_rng(9), 3, 0.65)
    with pytest.raises(InputError, match="no voice stands out"):
        target.target_of(np.stack([bob, eve]), ada, 0.6, "talk")
