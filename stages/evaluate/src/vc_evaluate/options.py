"""The options of ``vc-evaluate``, beside those of the family of speaking models that speaks."""

from typing import Annotated, ClassVar

from pydantic import Field

from vc_core import shared
from vc_core.options import Options


class EvaluateOptions(Options):
    """Scores of base and clone."""

    of_family: ClassVar[str] = "speaking"

    base_model: shared.BaseModelName
    family: shared.FamilyName
    whisper: shared.JudgeName
    judge_encoder: shared.JudgeEncoderName
    encoder: shared.SpeakerEncoderName
    max_texts: Annotated[
        int, Field(default=8, ge=1, description="Test sentences that each variant speaks.")
    ]
    device: shared.Device
