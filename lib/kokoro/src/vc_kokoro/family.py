"""Kokoro as a family of speaking models; vc_speech.tts finds it by its entry point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vc_core.speaking import Variant
from vc_kokoro.options import FAMILY

if TYPE_CHECKING:
    from vc_core.audio import Samples
    from vc_core.dataset import DatasetClip
    from vc_speech.tts import Request, TrainingJob, Voice


class KokoroFamily:
    """What vc_speech.tts.SpeakingModel asks for. Torch loads in the methods."""

    family = FAMILY

    def prepare(
        self, clips: Iterable[DatasetClip], base_model: str, output: Path, device: str
    ) -> Mapping[str, Any]:
        """Every clip's phonemes with their times, its F0 and energy."""
        from vc_kokoro import prepare

        return prepare.write_aligned(clips, base_model, output, device)

    def train(self, job: TrainingJob) -> Mapping[str, Any] | None:
        """A voice pack, and LoRA for the decoder."""
        from vc_kokoro.training import session

        return session.run(job)

    def merge(self, adapter: Path, base_model: str, output: Path, dtype: str) -> Mapping[str, Any]:
        """A folder with the fitted network and its voice, which loads as a base model."""
        from vc_kokoro import merge

        return merge.write(adapter, base_model, output, dtype)

    def load(self, request: Request) -> Voice:
        """The fitted voice, or a stock voice where there is no adapter."""
        from vc_kokoro import voice

        return voice.load(request)

    def compared(
        self, request: Request, variants: Sequence[Variant]
    ) -> Iterator[tuple[Variant, Voice]]:
        """Nearest stock voice, mixture, voice pack alone, and the fitted voice."""
        from vc_kokoro import voice

        return voice.compared(request, variants)

    def stock(self, request: Request) -> Mapping[str, Sequence[Samples]]:
        """Every stock voice saying the same; {} in a language that Kokoro does not speak."""
        from vc_core import devices
        from vc_kokoro import stock, weights

        if request.language not in stock.SENTENCES:
            return {}
        base = weights.load(request.base_model, devices.choose(request.device))
        return {name: [said] for name, said in stock.speech(base, request.language).items()}

    def copies(self, request: Request, clips: Sequence[DatasetClip]) -> list[Samples]:
        """The clips said again with their own pitch, energy and timing."""
        from vc_kokoro import voice

        return voice.copies(request, clips)


KOKORO = KokoroFamily()
