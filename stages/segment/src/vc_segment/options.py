"""The options of ``vc-segment``."""

from typing import Annotated

from pydantic import Field

from vc_core import shared
from vc_core.options import Options


class SegmentOptions(Options):
    """Who speaks when."""

    vad: shared.VadName
    encoder: shared.SpeakerEncoderName
    overlap_model: shared.OverlapModelName
    min_similarity: Annotated[
        shared.CosineOrAuto,
        Field(
            default="auto",
            description="Least cosine of the target's voice to the reference; auto: the encoder's "
            "own.",
        ),
    ]
    min_margin: Annotated[
        float,
        Field(
            default=2.0,
            ge=0,
            le=50,
            description="Least log-odds (natural) that a piece of speech is the target's; 2 is 7 "
            "to 1.",
        ),
    ]
