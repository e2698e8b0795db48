"""The options of ``vc-dataset``."""

from typing import Annotated

from pydantic import Field

from vc_core import shared
from vc_core.options import Options

Share = Annotated[float, Field(ge=0, le=0.5)]


class DatasetOptions(Options):
    """What all clips of a voice show together, and how they are split."""

    # No dataset is made without it.
    consent: Annotated[shared.Consent, Field(min_length=1)]
    language: shared.Language
    validation: Annotated[Share, Field(default=0.1, description="Share of seconds for validation.")]
    test: Annotated[Share, Field(default=0.1, description="Share of seconds for the test.")]
    duplicates: Annotated[
        bool,
        Field(
            default=True,
            description="Leave out clips whose recording is there twice, also re-encoded.",
        ),
    ]
    rate_outliers: Annotated[
        float,
        Field(
            default=4.0,
            ge=0,
            description="Robust deviations from the voice's own letters a second from which a "
            "clip is left out; 0: never. Needs 20 clips.",
        ),
    ]
