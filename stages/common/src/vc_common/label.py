"""WAV files that say in their own header that a machine spoke."""

from pathlib import Path

import numpy as np
import soundfile

from vc_common import audio

SOFTWARE = "Voice Cloning Pipeline"
COMMENT = "Synthetic speech. No person said this."


def write(path: Path, samples: audio.Samples, model: str = "") -> None:
    """Write 24 kHz mono 16-bit with the label in the header (ICMT); ISFT names us and ``model``.

    Without any sample a moment of silence is written: many players refuse an empty file.
    """
    if not samples.size:
        samples = np.zeros(audio.TTS_RATE // 10, dtype=np.float32)
    with soundfile.SoundFile(path, "w", audio.TTS_RATE, channels=1, subtype="PCM_16") as file:
        file.comment = COMMENT
        file.software = ", ".join(name for name in (SOFTWARE, model) if name)
        file.write(np.clip(samples, -1.0, 1.0))


def is_labelled(path: Path) -> bool:
    """Whether the header of a file says that it is synthetic."""
    with soundfile.SoundFile(path) as file:
        return COMMENT in file.comment
