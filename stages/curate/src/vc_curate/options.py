"""The options of ``vc-curate``."""

from typing import Annotated, Literal

from pydantic import Field

from vc_core import shared
from vc_core.options import Environment, Options


class CurateOptions(Options):
    """Which clips are kept, and how they are stored."""

    min_seconds: Annotated[
        float, Field(default=1.0, ge=0.5, le=10, description="Shortest clip, seconds.")
    ]
    max_seconds: Annotated[
        float, Field(default=10.0, ge=1, le=10, description="Longest clip, seconds.")
    ]
    min_similarity: Annotated[
        shared.CosineOrAuto,
        Field(
            default="auto",
            description="Least cosine of a clip to the reference; auto: what the encoder is known "
            "for.",
        ),
    ]
    min_confidence: Annotated[
        float,
        Field(default=0.6, ge=0, le=1, description="Least mean word probability of a clip."),
    ]
    min_dnsmos: Annotated[
        Literal["auto"] | Annotated[float, Field(ge=1, le=5)],
        Field(
            default="auto",
            description="Least overall DNSMOS of a clip; auto: 2.2, or what lies far below "
            "the median of a noisy recording.",
        ),
    ]
    min_snr: Annotated[
        float,
        Field(
            default=0.0, ge=0, le=100, description="Least speech over noise of a clip, dB; 0: any."
        ),
    ]
    min_bandwidth: Annotated[
        float,
        Field(
            default=0.0,
            ge=0,
            le=20_000,
            description="Least frequency that a clip's speech reaches, Hz; 0: any, also a "
            "telephone's 3400 Hz, 6000 leaves those out.",
        ),
    ]
    max_clipped: Annotated[
        float,
        Field(
            default=0.001,
            ge=0,
            le=1,
            description="Largest share of samples at full scale or in flat tops.",
        ),
    ]
    max_disagreement: Annotated[
        float,
        Field(
            default=0.5,
            ge=0,
            le=1,
            description="Largest word error rate between captions and what was heard, where there "
            "are captions.",
        ),
    ]
    silence: Annotated[
        float,
        Field(
            default=0.15,
            ge=0.02,
            le=1,
            description="Seconds of pause that a clip keeps at either end.",
        ),
    ]
    rejected: Annotated[
        bool,
        Field(
            default=False,
            description="Write the clips that were turned down, too, to listen to them: rejected/ "
            "and rejected.jsonl.",
        ),
    ]
    sample_rate: Annotated[
        int,
        Field(
            default=24_000,
            ge=24_000,
            le=24_000,
            description="Rate of the clips, Hz; what learns from them knows no other.",
        ),
        Environment("TTS_SAMPLE_RATE"),
    ]
    loudness: Annotated[
        float, Field(default=-23.0, ge=-50, le=-10, description="Loudness of every clip, LUFS.")
    ]
    encoder: shared.SpeakerEncoderName
    language: shared.Language
    licence: shared.Licence
