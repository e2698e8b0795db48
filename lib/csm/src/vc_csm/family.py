"""Sesame CSM as a family of speaking models; vc_speech.tts finds it by its entry point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vc_core.speaking import Variant
from vc_csm.options import FAMILY

if TYPE_CHECKING:
    from vc_core.audio import Samples
    from vc_core.dataset import DatasetClip
    from vc_speech.tts import Request, TrainingJob, Voice


class CsmFamily:
    """What vc_speech.tts.SpeakingModel asks for. Torch loads in the methods."""

    family = FAMILY

    def prepare(
        self, clips: Iterable[DatasetClip], base_model: str, output: Path, device: str
    ) -> Mapping[str, Any]:
        """The codec's codes of every clip, once, so that training need not make them anew."""
        from vc_csm import prepare

        return prepare.write_codes(clips, base_model, output, device)

    def train(self, job: TrainingJob) -> Mapping[str, Any] | None:
        """A LoRA adapter for ``PeftModel.from_pretrained``."""
        from vc_csm.training import session

        return session.run(job)

    def merge(self, adapter: Path, base_model: str, output: Path, dtype: str) -> Mapping[str, Any]:
        """A model for ``CsmForConditionalGeneration.from_pretrained`` alone."""
        from vc_csm.training import merge

        return merge.write(adapter, base_model, output, dtype)

    def load(self, request: Request) -> Voice:
        """A voice with its adapter merged into the weights."""
        from vc_csm import voice

        return voice.load(request)

    def compared(
        self, request: Request, variants: Sequence[Variant]
    ) -> Iterator[tuple[Variant, Voice]]:
        """Base and adapter, with and without context, from weights that are loaded once."""
        from vc_csm import voice

        return voice.compared(request, variants)

    def stock(self, request: Request) -> Mapping[str, Sequence[Samples]]:
        """Nothing: no voice comes with the base model, which draws another at every turn."""
        return {}

    def copies(self, request: Request, clips: Sequence[DatasetClip]) -> list[Samples]:
        """Each clip through the codec and back, whose codes are all that the model can say."""
        from vc_csm import voice

        return voice.copies(request, clips)


CSM = CsmFamily()
