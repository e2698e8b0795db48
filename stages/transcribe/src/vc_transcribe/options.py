"""The options of ``vc-transcribe``."""

from typing import Annotated

from pydantic import Field, StringConstraints

from vc_core import shared
from vc_core.options import Options


class TranscribeOptions(Options):
    """Words with times and confidence."""

    model: shared.TranscriberName
    batch_size: Annotated[
        int,
        Field(
            default=0, ge=0, le=256, description="Windows of 30 s heard at once; 0: by the device."
        ),
    ]
    captions: Annotated[
        str,
        StringConstraints(pattern=r"^(auto|none|.+\.(vtt|srt|VTT|SRT))$"),
        Field(
            default="auto",
            description="Captions that people wrote, whose words are preferred; auto: captions.vtt "
            "beside the vocals, where there is one; none: do without; or a file, VTT or SRT.",
        ),
    ]
    max_disagreement: Annotated[
        float,
        Field(
            default=0.3,
            ge=0,
            le=1,
            description="Word error rate between captions and what was heard over which captions "
            "are not used.",
        ),
    ]
    language: shared.Language
    device: shared.Device
