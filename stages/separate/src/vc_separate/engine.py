"""The voice of a recording of any length, rate and channel count, in a file of the same timing."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from vc_core import audio, files, log
from vc_core.audio import Samples
from vc_core.errors import InputError
from vc_separate import blocks, listen
from vc_separate.separators import PassThrough, Separator

logger = log.get("separate")

AUTO, ALWAYS = "auto", "always"


def keep_voice(
    source: Path, target: Path, separator: Separator, when: str = AUTO
) -> dict[str, Any]:
    """Write the voice in ``source`` as mono 16-bit ``target``, of the same rate and frame count.

    The suffix of ``target`` chooses FLAC or WAV. With ``when`` auto, stretches without anything
    to take away stay as they are. Returns duration, rate, levels in dBFS of mix and voice, what
    was decided, and speed. Raises InputError when ``source`` holds no audio or is damaged.
    """
    if target.suffix.lower() not in (".flac", ".wav"):
        raise InputError(f"{target}: the output is FLAC or WAV; name it .flac or .wav")
    started = time.perf_counter()
    energy, separated = np.zeros(2), 0  # of the mono mix, of the voice
    # Opened before the output, so that an input that cannot be read makes no output folder.
    with audio.opened(source, seekable=True) as recording:
        if recording.frames == 0:
            raise InputError(f"{source}: holds no audio (0 frames); fetch it again")
        heard = _heard(recording, separator, when)
        rate = recording.samplerate
        with (
            files.atomic(target) as partial,
            soundfile.SoundFile(partial, "w", rate, 1, subtype="PCM_16") as out,
        ):
            for pair, is_voice in _pairs(recording, separator, heard):
                energy += np.sum(np.square(pair, dtype=np.float64), axis=1)
                separated += pair.shape[1] if is_voice else 0
                out.write(np.clip(pair[1], -1.0, 1.0))
            written = out.frames
    levels = 10 * np.log10(np.maximum(energy / written, 1e-12))
    duration = written / rate
    return {
        "duration": round(duration, 3),
        "frames": written,
        "rate": rate,
        "mix_dbfs": round(float(levels[0]), 2),
        "voice_dbfs": round(float(levels[1]), 2),
        "separated_seconds": round(separated / rate, 3),
        **_told(heard),
        "times_real_time": round(duration / (time.perf_counter() - started), 2),
    }


def _heard(recording: soundfile.SoundFile, separator: Separator, when: str) -> listen.Heard | None:
    """What listening finds; None where nothing is asked or nothing could be removed."""
    if when == ALWAYS or isinstance(separator, PassThrough):
        return None
    heard = listen.listen(recording, separator)
    found = f"{heard.removed:.0f} dB of the speech would go from its pauses"
    if heard.dirty:
        logger.info("music or noise: %s; separating", found)
    else:
        logger.info("nothing to take away: at most %s; left as it is", found)
    return heard


def _pairs(
    recording: soundfile.SoundFile, separator: Separator, heard: listen.Heard | None
) -> Iterator[tuple[Samples, bool]]:
    """Stretches [2, frames] of mix and result, and whether the result is a separated voice."""
    if isinstance(separator, PassThrough) or (heard and not heard.dirty):
        recording.seek(0)
        for mono in audio.blocks(recording, seconds=blocks.BLOCK):
            yield np.stack([mono, mono]), False
    elif heard is None:
        for pair in blocks.separated(recording, separator):
            yield pair, True
    else:
        stretches = blocks.separated(recording, separator)
        yield from listen.kept(stretches, recording.samplerate, heard.level)


def _told(heard: listen.Heard | None) -> dict[str, Any]:
    """What the record says of the decision."""
    if heard is None:
        return {}
    return {
        "heard_seconds": round(heard.seconds, 3),
        "removed_in_pauses_db": round(heard.removed, 1),
        "limit_db": listen.LIMIT,
    }
