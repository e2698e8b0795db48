"""CSM as a voice that speaks: base, adapter and context, as vc_speech.tts asks for them."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from vc_core import devices
from vc_core.audio import TTS_RATE, Samples
from vc_core.dataset import DatasetClip
from vc_core.speaking import Variant
from vc_csm import csm, mimi
from vc_csm.csm import Csm, Utterance
from vc_csm.options import CsmSpeaking
from vc_speech.tts import Request, Said


class CsmVoice:
    """A loaded CSM that speaks, after context clips if there are any."""

    rate = TTS_RATE

    def __init__(
        self,
        model: Csm,
        context: Sequence[Utterance],
        how: CsmSpeaking,
        letters_a_second: float,
        bare: bool = False,
    ) -> None:
        """``bare`` leaves the model's adapter, which must not be merged, aside."""
        self.device = csm.base_of(model.model).device.type
        self.letters = csm.letters_at_once(how.max_seconds, letters_a_second)
        self._speaker = csm.Speaker(model, context, how, letters_a_second)
        self._aside = model.model.disable_adapter if bare else contextlib.nullcontext

    def speak(self, texts: Sequence[str], seeds: Sequence[int]) -> list[Said]:
        """Say every text, in batches."""
        with self._aside():
            said = self._speaker.say(texts, seeds)
        return [
            Said(speech.samples, len(speech.codes), speech.stopped_by_itself) for speech in said
        ]

    def stream(self, text: str, seed: int) -> Iterator[Samples]:
        """Say one text piece by piece."""
        with self._aside():
            yield from self._speaker.stream(text, seed)


def load(request: Request) -> CsmVoice:
    """The voice of a request, its adapter merged into the weights."""
    model = csm.merged(_model(request))
    context = _context(model, request.context_audio, request.context_text)
    return CsmVoice(model, context, _how(request), csm.slowest(request.adapter))


def compared(request: Request, variants: Sequence[Variant]) -> Iterator[tuple[Variant, CsmVoice]]:
    """The voices of the variants, one after another, from weights that are loaded once, now.

    Those without the adapter come first: merged into the weights it cannot be left aside.
    """
    model = _model(request)
    wanted = request.context_audio if any(variant.context for variant in variants) else None
    context = _context(model, wanted, request.context_text)
    return _each(model, context, request, sorted(variants, key=lambda variant: variant.adapter))


def copies(request: Request, clips: Sequence[DatasetClip]) -> list[Samples]:
    """Each clip encoded and decoded by the base model's codec, which is loaded alone."""
    codec = mimi.load(request.base_model, request.device)
    coded = (mimi.encode(codec, clip.samples) for clip in clips)
    # The codec fills the last frame with silence.
    return [
        mimi.decode(codec, codes)[: len(clip.samples)]
        for clip, codes in zip(clips, coded, strict=True)
    ]


def _each(
    model: Csm, context: Sequence[Utterance], request: Request, variants: Sequence[Variant]
) -> Iterator[tuple[Variant, CsmVoice]]:
    how, slowest = _how(request), csm.slowest(request.adapter)
    for variant in variants:
        if variant.adapter:
            model = csm.merged(model)
        before = context if variant.context else []
        yield variant, CsmVoice(model, before, how, slowest, bare=not variant.adapter)


def _model(request: Request) -> Csm:
    device = devices.choose(request.device)
    dtype = csm.speaking_dtype(device)
    return csm.load(request.base_model, device, dtype, request.adapter)


def _context(model: Csm, recording: Path | None, text: str) -> list[Utterance]:
    return [csm.context_of(model, recording, text)] if recording else []


def _how(request: Request) -> CsmSpeaking:
    assert isinstance(request.speaking, CsmSpeaking)
    return request.speaking
