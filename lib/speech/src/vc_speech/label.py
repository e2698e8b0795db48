"""WAV files that say in their own header that a machine spoke."""

import struct
from pathlib import Path

import numpy as np
import soundfile

from vc_core import audio

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
        file.software = _named(model)
        file.write(np.clip(samples, -1.0, 1.0))


def stream_header(model: str = "") -> bytes:
    """The head of a WAV like ``write``'s whose length nobody knows yet; ``pcm`` follows it."""
    endless = (0xFFFFFFFF).to_bytes(4, "little")
    form = struct.pack("<HHIIHH", 1, 1, audio.TTS_RATE, 2 * audio.TTS_RATE, 2, 16)
    told = b"INFO" + _chunk(b"ISFT", _named(model)) + _chunk(b"ICMT", COMMENT)
    return (
        b"RIFF"
        + endless
        + b"WAVE"
        + _chunk(b"fmt ", form)
        + _chunk(b"LIST", told)
        + (b"data" + endless)
    )


def pcm(samples: audio.Samples) -> bytes:
    """Samples [frames] as 16-bit little-endian numbers."""
    return np.rint(np.clip(samples, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def is_labelled(path: Path) -> bool:
    """Whether the header of a file says that it is synthetic."""
    with soundfile.SoundFile(path) as file:
        return COMMENT in file.comment


def _named(model: str) -> str:
    return ", ".join(name for name in (SOFTWARE, model) if name)


def _chunk(kind: bytes, content: bytes | str) -> bytes:
    """A RIFF chunk; text ends in a zero, and all of it at an even place."""
    data = content.encode() + b"\0" if isinstance(content, str) else content
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
