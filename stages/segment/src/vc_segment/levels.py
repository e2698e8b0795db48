"""How loud what separation took away is, frame by frame, without holding it in memory."""

from pathlib import Path

import numpy as np

from vc_core import audio
from vc_core.audio import ENGINE_RATE, Samples
from vc_speech.diarization.activity import FRAME, Shares


def removed_power(recording: Path, vocals: Samples) -> Shares:
    """Mean square [frames] of the difference of a recording and its 16 kHz mono ``vocals``."""
    frames = -(-len(vocals) // FRAME)
    power = np.zeros(frames, np.float32)
    at, rest = 0, np.zeros(0, np.float32)
    with audio.opened(recording) as file:
        for block in audio.blocks(file, ENGINE_RATE):
            here = np.concatenate([rest, block])
            whole = min(len(here) // FRAME, len(vocals) // FRAME - at)
            if whole <= 0:
                break
            cut = slice(at * FRAME, (at + whole) * FRAME)
            removed = here[: whole * FRAME] - vocals[cut]
            power[at : at + whole] = np.square(removed).reshape(whole, FRAME).mean(axis=1)
            at, rest = at + whole, here[whole * FRAME :]
    return power
