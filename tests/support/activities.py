"""Activity as diarization hears it, said by runs of frames."""

import numpy as np

from vc_speech.diarization.activity import Heard


def heard(frames: int, **flagged: list[tuple[int, int]]) -> Heard:
    """What is heard, given by runs of frames."""
    rows = {name: np.zeros(frames, bool) for name in ("speech", "pauses", "overlap", "changes")}
    for name, runs in flagged.items():
        for first, last in runs:
            rows[name][first:last] = True
    return Heard(**rows, switched=rows["changes"].astype(np.float32))
