"""A CSM in training, listened to."""

from __future__ import annotations

from pathlib import Path

from vc_core.manifests import spread
from vc_csm import csm, mimi
from vc_csm.options import CsmSpeaking
from vc_csm.training.data import Clips
from vc_csm.voice import CsmVoice
from vc_speech.training.listening import TARGET_CLIPS, Listener
from vc_speech.training.rows import Row
from vc_speech.training.trackers import Trackers


class CsmListener:
    """Lets the model say sentences of the validation split, and judges each."""

    def __init__(
        self,
        model: csm.Csm,
        clips: Clips,
        count: int,
        *,
        listener: str,
        encoder: str,
        language: str,
        seed: int,
    ) -> None:
        """Load the judges, and the target's voice as its own codec renders it."""
        codec = csm.base_of(model.model).codec_model
        self._slowest = csm.SLOW_SHARE * clips.letters_a_second()
        self._listener = Listener(
            [mimi.decode(codec, one.clip.codes) for one in spread(clips.train, TARGET_CLIPS)],
            [one.clip.text for one in spread(clips.validation, count)],
            listener=listener,
            encoder=encoder,
            language=language,
            seed=seed,
            model=model.name,
        )

    def listen(self, model: csm.Csm, step: int, folder: Path, trackers: Trackers) -> Row:
        """What the judges hear; the samples go to ``folder/step-000250``."""
        model.model.eval()
        voice = CsmVoice(model, [], CsmSpeaking.model_validate({}), self._slowest)
        return self._listener.listen(voice.speak, step, folder, trackers)
