"""A Kokoro that speaks: in a stock voice, a mixture of them, or a voice that it was fitted to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vc_core import devices
from vc_core.audio import TTS_RATE, Samples
from vc_core.dataset import DatasetClip
from vc_core.errors import InputError
from vc_core.speaking import Variant
from vc_kokoro import adapter, phonemes, stock, weights
from vc_kokoro.align import Aligned, Aligner
from vc_kokoro.network import HOP, Kokoro, Prosody, Text
from vc_kokoro.options import KokoroSpeaking
from vc_kokoro.threads import at_once
from vc_kokoro.weights import Base, style_of
from vc_speech import pretrained
from vc_speech.tts import Request, Said

LETTERS = 300  # of a text at once: rarely more than the network's 510 phonemes
CLAUSE = re.compile(r"(?<=[,;:.!?])\s+")
PAUSES = {",": 0.05, ";": 0.1, ":": 0.1, ".": 0.25, "!": 0.25, "?": 0.25}  # seconds
SILENT = 0.01  # of the loudest sample
SHORTEST = 24  # letters of a clause that is said for itself


class KokoroVoice:
    """A network and a voice [510, 256] that it speaks in."""

    rate = TTS_RATE
    letters = LETTERS

    def __init__(self, network: Kokoro, voice: Tensor, language: str, how: KokoroSpeaking) -> None:
        self.device = network.device.type
        self._network = network
        self._voice = voice.to(network.device)
        self._language = language
        self._how = how

    def speak(self, texts: Sequence[str], seeds: Sequence[int]) -> list[Said]:
        """Say every text, on a CPU as many at once as it has cores."""
        with ThreadPoolExecutor(at_once(self.device)) as pool:
            made = list(pool.map(self._say, texts, seeds))
        return [Said(samples, len(samples) // HOP, stopped_by_itself=True) for samples in made]

    def stream(self, text: str, seed: int) -> Iterator[Samples]:
        """Say one text clause by clause; while one is heard the next ones are made."""
        parts = clauses(text)
        last = len(parts) - 1
        pool = ThreadPoolExecutor(at_once(self.device))
        try:
            made = pool.map(self._say, parts, range(seed, seed + len(parts)))
            for number, (part, samples) in enumerate(zip(parts, made, strict=True)):
                yield samples if number == last else without_tail(samples, part)
        finally:  # nobody listens any more
            pool.shutdown(cancel_futures=True)

    def _say(self, text: str, seed: int) -> Samples:
        said = phonemes.of(text, self._language)
        parts = phonemes.parts(said, self._network.longest)
        return np.concatenate([self._part(part, seed) for part in parts])

    @torch.no_grad()
    def _part(self, said: str, seed: int) -> Samples:
        text = self._network.encode(said)
        # Bfloat16 would tell F0 in steps of a hertz or two.
        style = style_of(self._voice, text.ids)
        prosody = self._network.prosody(text, style, self._how.speed)
        return sounded(self._network, self._voice, text, prosody, seed)


@torch.no_grad()
def sounded(network: Kokoro, voice: Tensor, text: Text, prosody: Prosody, seed: int) -> Samples:
    """A text said in a way, in a voice [510, 256] on the network's device."""
    noise = torch.Generator(network.device).manual_seed(seed)
    with fast(network.device.type):
        made = network.sound(text, prosody, style_of(voice, text.ids), noise)
    samples: Samples = made.float().cpu().numpy()
    return samples


def fast(device: str) -> torch.autocast:
    """Arithmetic in bfloat16 where the device multiplies that faster."""
    return torch.autocast(device, torch.bfloat16, enabled=has_fast_bfloat16(device))


def has_fast_bfloat16(device: str) -> bool:
    """Whether a device, of cpu or cuda, multiplies bfloat16 faster than float32."""
    if device == "cpu":
        return pretrained.fast_bfloat16()
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def without_tail(samples: Samples, part: str) -> Samples:
    """A clause with as much silence after it as its punctuation asks for."""
    loud = np.flatnonzero(np.abs(samples) > SILENT * np.abs(samples).max())
    pause = PAUSES.get(part[-1:], 0.0)
    return samples[: int(loud[-1]) + 1 + round(pause * TTS_RATE)] if len(loud) else samples


def clauses(text: str) -> list[str]:
    """A text cut after its punctuation, in parts that are long enough to be said alone."""
    parts: list[str] = []
    for piece in CLAUSE.split(text.strip()):
        if parts and min(len(parts[-1]), len(piece)) < SHORTEST:
            parts[-1] = f"{parts[-1]} {piece}"
        else:
            parts.append(piece)
    return parts


def load(request: Request) -> KokoroVoice:
    """The voice of a request: the adapter's, or the stock voice's that it names.

    Without either, the first stock voice of the language.
    """
    phonemes.check(request.language)
    base = weights.load(request.base_model, devices.choose(request.device))
    if request.adapter:
        fitted = adapter.load(base, Path(request.adapter), whole=True)
        return KokoroVoice(base.network, fitted, request.language, _how(request))
    return KokoroVoice(base.network, _stock(base, request), request.language, _how(request))


def compared(
    request: Request, variants: Sequence[Variant]
) -> Iterator[tuple[Variant, KokoroVoice]]:
    """The voices of the variants, one after another, from a network that is loaded once.

    Those without the adapter come first, since it changes the network.
    """
    phonemes.check(request.language)
    base = weights.load(request.base_model, devices.choose(request.device))
    ordered = sorted(variants, key=lambda variant: ORDER.index(variant.name))
    return _each(base, request, ordered)


ORDER = ("stock", "mixture", "voice", "adapter")


def _each(
    base: Base, request: Request, variants: Sequence[Variant]
) -> Iterator[tuple[Variant, KokoroVoice]]:
    how, folder = _how(request), Path(request.adapter)
    for variant in variants:
        if variant.stock:
            voice = _stock(base, request)
        elif not variant.adapter:
            voice = stock.mix(base.voices(request.language), adapter.mixture(folder))
        else:
            voice = adapter.load(base, folder, whole=variant.name == "adapter")
        yield variant, KokoroVoice(base.network, voice, request.language, how)


def _stock(base: Base, request: Request) -> Tensor:
    voices = base.voices(request.language)
    name = request.stock_voice or next(iter(voices))
    if name not in voices:
        listed = ", ".join(voices)
        raise InputError(f"stock voice {name!r}: no voice of this model; there are: {listed}")
    return voices[name]


def copies(request: Request, clips: Sequence[DatasetClip]) -> list[Samples]:
    """The clips said again with their own pitch, energy and timing."""
    base = weights.load(request.base_model, devices.choose(request.device))
    network, folder, language = base.network, Path(request.adapter), request.language
    f0 = adapter.record(folder)["f0"]
    aligner = Aligner(network, stock.known(base, language, f0))
    said = [phonemes.of(clip.text, language) for clip in clips]
    found = [aligner.align(sounds, clip.samples) for sounds, clip in zip(said, clips, strict=True)]
    voice = adapter.load(base, folder, whole=True).to(network.device)

    def again(sounds: str, known: Aligned) -> Samples:
        prosody = known.prosody.to(network.device)
        return sounded(network, voice, network.encode(sounds), prosody, request.speaking.seed)

    with ThreadPoolExecutor(at_once(network.device.type)) as pool:
        return list(pool.map(again, said, found))


def _how(request: Request) -> KokoroSpeaking:
    assert isinstance(request.speaking, KokoroSpeaking)
    return request.speaking
