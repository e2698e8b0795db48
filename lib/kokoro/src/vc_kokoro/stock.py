"""The voices that come with Kokoro: what they sound like, and mixtures of them."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from vc_core import audio, files, log, models
from vc_core.audio import ENGINE_RATE, TTS_RATE, Samples
from vc_kokoro import phonemes, weights
from vc_kokoro.align import Spoken
from vc_kokoro.threads import at_once
from vc_kokoro.weights import Base, style_of
from vc_speech import speakers

logger = log.get("kokoro")

# What every stock voice says, so that they can be compared.
SENTENCES = {
    "en": "The birch canoe slid on the smooth planks, and the boy was there when the sun rose.",
    "es": "El barco cruza la bahía por la mañana, y la gente espera en el muelle.",
    "fr": "Le bateau traverse la baie le matin, et les gens attendent sur le quai.",
    "hi": "नाव सुबह खाड़ी पार करती है, और लोग घाट पर इंतज़ार करते हैं।",
    "it": "La barca attraversa la baia al mattino, e la gente aspetta sul molo.",
    "pt": "O barco cruza a baía pela manhã, e as pessoas esperam no cais.",
}
NEAR = 1.3  # times or parts of a pitch that still is of the same kind
FULL = 32767  # the largest number of 16 bits
LEAST = 3  # voices to mix, however far their pitch
ANCHOR = 0.05  # keeps a mixture's weights from growing with no gain


def speech(base: Base, language: str) -> dict[str, Samples]:
    """Every stock voice of a language saying its sentence, at 24 kHz; kept in the cache."""
    voices = base.voices(language)
    key = hashlib.sha256(f"{weights.fingerprint(base)} {SENTENCES[language]}".encode())
    for name, voice in voices.items():
        key.update(name.encode() + voice.numpy().tobytes())
    place = models.cache_folder() / f"kokoro-stock-{key.hexdigest()[:16]}.npz"
    if not place.is_file():
        logger.info("listening to %d stock voices, once", len(voices))
        made = _spoken(base, language, voices)
        with files.atomic(place) as partial, partial.open("wb") as file:
            np.savez(file, **made)  # type: ignore[arg-type]
    with np.load(place) as kept:
        return {name: kept[name].astype(np.float32) / FULL for name in voices}


def known(base: Base, language: str, f0: float) -> list[Spoken]:
    """Speech of the stock voices of a pitch, with how it was made."""
    voices, sounds = base.voices(language), speech(base, language)
    text = base.network.encode(phonemes.of(SENTENCES[language], language))
    made = []
    for name in _near(base, language, f0):
        style = style_of(voices[name], text.ids).to(base.network.device)
        with torch.no_grad():
            prosody = base.network.prosody(text, style)
        made.append(Spoken(text, prosody, voices[name], sounds[name]))
    return made


def _spoken(base: Base, language: str, voices: dict[str, Tensor]) -> dict[str, Samples]:
    """16-bit samples of each voice, by name."""
    text = base.network.encode(phonemes.of(SENTENCES[language], language))

    @torch.no_grad()
    def say(name: str) -> Samples:
        style = style_of(voices[name], text.ids).to(base.network.device)
        noise = torch.Generator(base.network.device).manual_seed(0)
        made = base.network.sound(text, base.network.prosody(text, style), style, noise)
        out: Samples = np.round(made.float().cpu().numpy().clip(-1, 1) * FULL).astype(np.int16)
        return out

    with ThreadPoolExecutor(at_once(base.network.device.type)) as pool:
        bar = log.progress(pool.map(say, voices), total=len(voices), desc="voices", unit="voice")
        return dict(zip(voices, bar, strict=True))


def mixture(
    base: Base, language: str, f0: float, encoder: speakers.SpeakerEncoder, target: speakers.Vector
) -> tuple[dict[str, float], Tensor]:
    """The mixture of stock voices of fitting pitch that an encoder finds most like a target.

    ``target`` is a unit vector. Returns the voices' weights, which sum to 1, and the voice
    [510, 256]: not negative least squares of the voices' vectors onto the target's.
    """
    from scipy.optimize import nnls

    voices, sounds = base.voices(language), speech(base, language)
    near = _near(base, language, f0)
    vectors = np.stack(
        [encoder.embed(audio.resample(sounds[name], TTS_RATE, ENGINE_RATE)) for name in near]
    )
    anchored = np.concatenate([vectors.T, np.full((1, len(near)), ANCHOR)])
    parts, _ = nnls(anchored, np.append(target, ANCHOR))
    parts = parts / parts.sum() if parts.sum() > 0 else np.full(len(near), 1 / len(near))
    mixed = {name: float(part) for name, part in zip(near, parts, strict=True) if part > 0}
    return mixed, mix(voices, mixed)


def mix(voices: dict[str, Tensor], parts: dict[str, float]) -> Tensor:
    """A mixture [510, 256] of voices, by name."""
    return torch.stack([part * voices[name] for name, part in parts.items()]).sum(0)


def _near(base: Base, language: str, f0: float) -> list[str]:
    """The names of the voices with a pitch near ``f0`` in Hz, at least LEAST, the nearest first."""
    text = base.network.encode(phonemes.of(SENTENCES[language], language))
    far: dict[str, float] = {}
    for name, voice in base.voices(language).items():
        style = style_of(voice, text.ids).to(base.network.device)
        with torch.no_grad():
            curve = base.network.prosody(text, style).f0
        far[name] = abs(float(np.log(float(curve[curve > weights.VOICED_HZ].median()) / f0)))
    ordered = sorted(far, key=lambda name: far[name])
    near = [name for name in ordered if far[name] < np.log(NEAR)]
    return near if len(near) >= LEAST else ordered[:LEAST]
