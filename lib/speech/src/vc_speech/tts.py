"""Models that speak: what one must offer, and how one is found by its name.

A package adds a model by an entry point in the group ``voice_clone.tts``: the entry point's name
is the model's, its object a class like ``Voice`` that is made from ``Options``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vc_core import engines
from vc_core.audio import Samples
from vc_core.errors import InputError


@dataclass(frozen=True)
class Options:
    """What a model is made from; it may leave aside what means nothing to it.

    ``base_model`` and ``adapter`` are folders or Hub ids, ``device`` auto, cpu or cuda.
    ``context_audio`` is speech that steers the voice, ``context_text`` what is said in it.
    ``max_seconds`` is the longest speech of one text, ``batch_size`` how many it says at once.
    """

    base_model: str
    adapter: str = ""
    device: str = "auto"
    context_audio: Path | None = None
    context_text: str = ""
    temperature: float = 0.9
    top_k: int = 50
    max_seconds: float = 10.0
    batch_size: int = 8


@dataclass(frozen=True)
class Said:
    """One text as sound, mono: its samples, the model's frames in it, how it ended."""

    samples: Samples
    frames: int
    stopped_by_itself: bool


class Voice(Protocol):
    """A model that is ready to speak.

    ``rate`` is that of its samples in Hz, ``letters`` the longest text to give it at once, and
    ``device`` where it runs. The same text and seed make the same speech.
    """

    rate: int
    letters: int
    device: str

    def speak(self, texts: Sequence[str], seeds: Sequence[int]) -> list[Said]:
        """Say every text, each by its own seed, in the given order."""

    def stream(self, text: str, seed: int) -> Iterator[Samples]:
        """Say one text piece by piece, as soon as each is made."""


def load(name: str, options: Options) -> Voice:
    """The model called ``name``; raises InputError, with the names there are, for another."""
    found = engines.find(engines.TTS, name)
    if found is None:
        known = ", ".join(engines.names(engines.TTS)) or "none; install vc-synthesize"
        raise InputError(f"tts {name!r}: no such model; there are: {known}")
    make, _ = found
    made: Voice = make(options)
    return made
