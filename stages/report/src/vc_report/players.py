"""Audio inside the page: MP3, the one format that every browser plays, as data URIs."""

import base64
import functools
import io
from pathlib import Path

import soundfile

from vc_core import audio
from vc_core.errors import InputError

RATE = 24_000  # Hz: the rate of clips and of synthetic speech
LOSS = 0.6  # libsndfile's compression level, 0 (largest) to 1 (smallest)


@functools.cache
def data_uri(path: Path) -> str:
    """The file as ``data:audio/mpeg;base64,...`` at 24 kHz mono; "" when it cannot be played."""
    try:
        samples, _ = audio.read(path, RATE)
    except InputError:
        return ""
    if not samples.size:
        return ""
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        samples.clip(-1.0, 1.0),
        RATE,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=LOSS,
        bitrate_mode="VARIABLE",
    )
    return "data:audio/mpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
