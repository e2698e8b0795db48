"""The options of ``vc-reference`` and of ``vc-reference propose``."""

from typing import Annotated, ClassVar

from pydantic import Field

from vc_core import shared
from vc_core.options import Options


class FitnessOptions(Options):
    """What a reference, and what is proposed for one, must reach alike."""

    min_dnsmos: Annotated[
        float,
        Field(
            default=2.0,
            ge=1,
            le=5,
            description="Least overall DNSMOS of each slice; 1 is bad, 5 is excellent.",
        ),
    ]
    max_clipped: Annotated[
        float, Field(default=0.001, ge=0, le=1, description="Largest share of clipped samples.")
    ]
    min_cosine: Annotated[
        shared.CosineOrAuto,
        Field(
            default="auto",
            description="Least likeness of any stretch to the rest, below which there are two "
            "speakers; auto: as the encoder is known.",
        ),
    ]
    encoder: shared.SpeakerEncoderName
    overlap_model: shared.OverlapModelName


class ReferenceOptions(FitnessOptions):
    """Where the target speaker is heard alone: slices of sources, or files."""

    section: ClassVar[str] = "voices.*.reference"

    min_seconds: Annotated[float, Field(default=3.0, ge=0, description="Least speech, seconds.")]
    max_seconds: Annotated[
        float, Field(default=30.0, gt=0, description="What is longer is cut in a pause, seconds.")
    ]
    max_overlap: Annotated[
        float,
        Field(default=0.3, ge=0, description="Most seconds of two people at once in a slice."),
    ]
    whisper: shared.TranscriberName
    language: shared.Language


class ProposeOptions(FitnessOptions):
    """The cleanest stretches of a recording in which one person speaks."""

    count: Annotated[int, Field(default=3, ge=1, description="Stretches of each voice.")]
    min_seconds: Annotated[
        float, Field(default=8.0, ge=0, description="Shortest stretch, seconds.")
    ]
    max_seconds: Annotated[
        float, Field(default=20.0, gt=0, description="Longest stretch, seconds.")
    ]
