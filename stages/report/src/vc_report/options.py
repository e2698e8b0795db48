"""The options of ``vc-report``."""

from typing import Annotated

from pydantic import Field

from vc_core.options import Options


class ReportOptions(Options):
    """The page that shows a run."""

    clips_per_voice: Annotated[
        int,
        Field(
            default=12,
            ge=0,
            description="Kept clips that get a player, spread evenly over a voice's sources.",
        ),
    ]
