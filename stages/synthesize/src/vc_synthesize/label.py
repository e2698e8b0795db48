"""WAV files that say in their own header that a machine spoke."""

from pathlib import Path

import numpy as np
import soundfile

from vc_common import audio

COMMENT = "Synthetic speech. No person said this."


def write(path: Path, samples: audio.Samples, software: str) -> None:
    """Write 24 kHz mono 16-bit with the label in the header (ICMT) beside the software (ISFT)."""
    with soundfile.SoundFile(path, "w", audio.TTS_RATE, channels=1, subtype="PCM_16") as file:
        file.comment = COMMENT
        file.software = software
        file.write(np.clip(samples, -1.0, 1.0))


def is_labelled(path: Path) -> bool:
    """Whether the header of a file says that it is synthetic."""
    with soundfile.SoundFile(path) as file:
        return COMMENT in file.comment
