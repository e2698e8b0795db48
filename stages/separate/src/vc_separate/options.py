"""The options of ``vc-separate``."""

from typing import Annotated, Literal

from pydantic import Field

from vc_core import shared
from vc_core.options import Options


class SeparateOptions(Options):
    """Taking away everything but voices."""

    model: shared.SeparatorName
    when: Annotated[
        Literal["auto", "always"],
        Field(
            default="auto",
            description="auto listens first: what has no music or noise to take away is left as "
            "it is.",
        ),
    ]
    precision: Annotated[
        Literal["auto", "fp32", "fp16"],
        Field(default="auto", description="Of the separator; auto: fp16 on a GPU, fp32 on a CPU."),
    ]
    device: shared.Device
