"""Runs a separator over a recording of any length, rate and channel count, block by block."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from vc_common import audio, files, log
from vc_common.audio import Samples
from vc_common.errors import InputError, ToolError
from vc_separate.separators import Separator

# Blocks bound the memory. Neighbours overlap and are cross-faded, because a separator knows
# least about what lies at the edges of its input.
BLOCK = 60.0  # seconds
OVERLAP = 2.0  # seconds

# What libsndfile seeks in to the sample; everything else is decoded by ffmpeg first.
_SEEKABLE = {"WAV", "WAVEX", "RF64", "FLAC", "AIFF", "OGG"}


def keep_voice(source: Path, target: Path, separator: Separator) -> dict[str, float]:
    """Write the voice in ``source`` as mono 16-bit ``target``, of the same rate and frame count.

    The suffix of ``target`` chooses FLAC or WAV. Returns duration, rate, levels in dBFS of
    mix and voice, and speed. Raises InputError when ``source`` holds no audio.
    """
    if target.suffix.lower() not in (".flac", ".wav"):
        raise InputError(f"{target}: the output is FLAC or WAV; name it .flac or .wav")
    started = time.perf_counter()
    energy = np.zeros(2)  # of the mono mix, of the voice
    # Opened before the output, so that an input that cannot be read makes no output folder.
    with _opened(source) as recording, files.atomic(target) as partial:
        with soundfile.SoundFile(
            partial, "w", samplerate=recording.samplerate, channels=1, subtype="PCM_16"
        ) as out:
            for mix, voice in _blocks(recording, source, separator):
                energy += np.sum(np.square([mix, voice], dtype=np.float64), axis=1)
                out.write(np.clip(voice, -1.0, 1.0))
            written = out.frames
        if written != recording.frames:
            raise InputError(f"{source}: ends early, at {written} of {recording.frames} frames")
        rate, duration = recording.samplerate, written / recording.samplerate
    levels = 10 * np.log10(np.maximum(energy / written, 1e-12))
    seconds = time.perf_counter() - started
    return {
        "duration": round(duration, 3),
        "frames": written,
        "rate": rate,
        "mix_dbfs": round(float(levels[0]), 2),
        "voice_dbfs": round(float(levels[1]), 2),
        "times_real_time": round(duration / seconds, 2),
    }


def _blocks(
    recording: soundfile.SoundFile, source: Path, separator: Separator
) -> Iterator[tuple[Samples, Samples]]:
    """Yield consecutive stretches of mono mix and voice, both [frames], that make the whole."""
    rate = recording.samplerate
    block, overlap = round(BLOCK * rate), round(OVERLAP * rate)
    ramp = np.linspace(0, 1, overlap, dtype=np.float32)
    tail: Samples | None = None
    with log.progress(total=round(recording.frames / rate), unit="s", desc="separate") as bar:
        for start in range(0, recording.frames, block - overlap):
            end = min(start + block, recording.frames)
            mix = _read(recording, source, start, end)
            voice = _separated(mix, rate, separator)
            if tail is not None:
                voice[:overlap] = tail * (1 - ramp) + voice[:overlap] * ramp
            kept = end - start if end == recording.frames else end - start - overlap
            yield mix[:kept].mean(axis=1), voice[:kept]
            tail = voice[kept:]
            bar.update(round(kept / rate))
            if end == recording.frames:
                return


def _separated(mix: Samples, rate: int, separator: Separator) -> Samples:
    """The voice [frames] of ``mix`` [frames, channels], through the rate of the separator."""
    stereo = mix if mix.shape[1] == 2 else np.repeat(mix.mean(axis=1, keepdims=True), 2, axis=1)
    heard = separator.separate(audio.resample(stereo, rate, separator.rate or rate))
    voice = audio.resample(heard.mean(axis=1), separator.rate or rate, rate)
    # Resampling there and back may gain or lose a frame at the end.
    missing = max(0, len(mix) - len(voice))
    return np.pad(voice, (0, missing))[: len(mix)]


def _read(recording: soundfile.SoundFile, source: Path, start: int, end: int) -> Samples:
    """Frames [start, end) as [frames, channels]; raises InputError where they are damaged."""
    try:
        recording.seek(start)
        samples: Samples = recording.read(end - start, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"{source}: damaged after {start / recording.samplerate:.1f} s ({error}); "
            "fetch it again"
        ) from None
    if len(samples) != end - start:
        at = (start + len(samples)) / recording.samplerate
        raise InputError(f"{source}: ends early, at {at:.1f} s; fetch it again")
    return samples


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[soundfile.SoundFile]:
    """The recording opened for seeking, decoded to a temporary WAV first where need be."""
    if source.is_dir():
        raise InputError(f"{source}: is a folder; give a recording")
    with contextlib.ExitStack() as stack:
        try:
            recording = stack.enter_context(soundfile.SoundFile(source))
        except soundfile.LibsndfileError:
            recording = None
        if recording is None or recording.format not in _SEEKABLE:
            info = audio.probe(source)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="vc-separate-"))
            decoded = Path(folder) / "decoded.wav"
            try:
                audio.convert(source, decoded, info.rate, info.channels)
            except ToolError as error:
                raise InputError(f"{source}: cannot be decoded ({error})") from None
            recording = stack.enter_context(soundfile.SoundFile(decoded))
        if recording.frames == 0:
            raise InputError(f"{source}: holds no audio (0 frames); fetch it again")
        yield recording
