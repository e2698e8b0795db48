"""The options of ``vc-train``, beside those of the family of speaking models that it trains."""

from typing import ClassVar

from vc_core import shared
from vc_core.options import Options


class TrainOptions(Options):
    """Fine-tuning of a speaking model."""

    of_family: ClassVar[str] = "training"

    base_model: shared.BaseModelName
    family: shared.FamilyName
    encoder: shared.SpeakerEncoderName
    whisper: shared.ListenerName
    language: shared.Language
    consent: shared.Consent
    device: shared.Device
