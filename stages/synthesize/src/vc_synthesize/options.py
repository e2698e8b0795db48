"""The options of ``vc-synthesize``, beside those of the family of speaking models that speaks."""

from typing import Annotated, ClassVar

from pydantic import Field

from vc_core import shared
from vc_core.options import Options


class SynthesizeOptions(Options):
    """Speaking with the finished voice."""

    of_family: ClassVar[str] = "speaking"

    base_model: shared.BaseModelName
    family: shared.FamilyName
    context: Annotated[
        bool,
        Field(
            default=True,
            description="Let the context audio steer the voice, where there is one; a model that "
            "knows no context leaves it aside.",
        ),
    ]
    language: shared.Language
    trim: Annotated[
        bool,
        Field(default=True, description="Cut silence from the ends of what is spoken."),
    ]
    device: shared.Device
