"""Audio in and out: float32 samples in [-1, 1], shape [frames] or [frames, channels]."""

import contextlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from vc_core import files, media, tools
from vc_core.errors import InputError, ToolError

Samples = npt.NDArray[np.float32]

ENGINE_RATE = 16_000  # Hz: what Silero VAD, Whisper, the speaker encoder and DNSMOS hear
TTS_RATE = 24_000  # Hz: what Mimi, the codec of CSM, speaks

# What libsndfile seeks in to the sample.
_SEEKABLE = {"WAV", "WAVEX", "RF64", "FLAC", "AIFF", "OGG"}


def read(path: Path, rate: int | None = None, mono: bool = True) -> tuple[Samples, int]:
    """Read a whole file; returns samples and their rate in Hz.

    With ``rate`` the samples are resampled to it; with ``mono`` channels are averaged to
    [frames]. Raises InputError naming the file when it cannot be read as audio.
    """
    with opened(path) as file:
        found, wanted = file.samplerate, rate or file.samplerate
        channels = 1 if mono else file.channels
        # Filled block by block: hours of stereo at 44.1 kHz would not fit beside what is asked.
        frames = -(-file.frames * wanted // found) + 1
        out = np.zeros((frames, channels), np.float32)
        at = 0
        for block in blocks(file, wanted, mono):
            out[at : at + len(block)] = block.reshape(len(block), channels)
            at += len(block)
    return (out[:at, 0] if mono else out[:at]), wanted


@contextlib.contextmanager
def opened(path: Path, seekable: bool = False) -> Iterator[soundfile.SoundFile]:
    """A recording opened for reading, decoded to a temporary WAV first where that is needed.

    With ``seekable`` also formats are decoded in which libsndfile does not seek to the sample.
    Raises InputError naming the file when it is missing, or cannot be read as audio.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a recording")
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(soundfile.SoundFile(path))
        except soundfile.LibsndfileError:
            file = None
        if file is None or (seekable and file.format not in _SEEKABLE):
            decoded = stack.enter_context(_decoded_by_ffmpeg(path))
            file = stack.enter_context(soundfile.SoundFile(decoded))
        yield file


def blocks(
    file: soundfile.SoundFile, rate: int | None = None, mono: bool = True, seconds: float = 30.0
) -> Iterator[Samples]:
    """The rest of ``file`` in blocks of about ``seconds``, [frames] or [frames, channels].

    With ``rate`` they are resampled as one stream: joined, they are what resampling the whole
    would give. Raises InputError, with the time, where the file is damaged.
    """
    import soxr

    found = file.samplerate
    channels = 1 if mono else file.channels
    stream = (
        soxr.ResampleStream(found, rate, channels, dtype="float32", quality="HQ")
        if rate and rate != found
        else None
    )
    size = round(seconds * found)
    while True:
        block = _next_block(file, size)
        last = len(block) < size
        out: Samples = block.mean(axis=1) if mono else block
        if stream is not None:
            out = stream.resample_chunk(np.ascontiguousarray(out), last=last)
        if len(out):
            yield out
        if last:
            return


def _next_block(file: soundfile.SoundFile, size: int) -> Samples:
    at = file.tell()
    try:
        block: Samples = file.read(size, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise _damaged(file, at, str(error)) from None
    if len(block) < size and at + len(block) < file.frames:
        raise _damaged(file, at + len(block), "its data end early")
    return block


def _damaged(file: soundfile.SoundFile, frame: int, why: str) -> InputError:
    seconds = frame / file.samplerate
    return InputError(f"{file.name}: damaged after {seconds:.1f} s ({why}); make it again")


def read_span(path: Path, start: float, end: float) -> tuple[Samples, int]:
    """Read [start, end) seconds of a WAV or FLAC as mono, without loading the rest."""
    with soundfile.SoundFile(path) as file:
        first = round(start * file.samplerate)
        file.seek(min(first, file.frames))
        samples = file.read(round(end * file.samplerate) - first, dtype="float32", always_2d=True)
        return samples.mean(axis=1), file.samplerate


def decode(stored: bytes, rate: int) -> Samples:
    """Samples [frames] at ``rate``, mono, of a whole file held in memory, as datasets store them.

    Raises soundfile.LibsndfileError when the bytes are no audio.
    """
    samples, found = soundfile.read(io.BytesIO(stored), dtype="float32", always_2d=True)
    return resample(samples.mean(axis=1), found, rate)


def write(path: Path, samples: Samples, rate: int) -> None:
    """Write 16-bit audio atomically; the suffix says the format (.wav, .flac)."""
    with files.atomic(path) as partial:
        soundfile.write(partial, np.clip(samples, -1.0, 1.0), rate, subtype="PCM_16")


def resample(samples: Samples, old: int, new: int) -> Samples:
    """Resample along the first axis with soxr's high-quality filter."""
    if old == new:
        return samples
    import soxr

    out: Samples = soxr.resample(samples, old, new, quality="HQ").astype(np.float32, copy=False)
    return out


def rms_db(samples: Samples) -> float:
    """Root-mean-square level in dB relative to full scale; -120 for digital silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
    return 10 * float(np.log10(max(power, 1e-12)))


@contextlib.contextmanager
def _decoded_by_ffmpeg(path: Path) -> Iterator[Path]:
    """What libsndfile does not know, as a WAV in a temporary folder."""
    info = media.probe(path)
    with tempfile.TemporaryDirectory(prefix="vc-audio-") as folder:
        wav = Path(folder) / "decoded.wav"
        try:
            tools.run(media.conversion(path, wav, info, info.rate, info.channels))
        except ToolError as error:
            raise InputError(f"{path}: cannot be decoded ({error})") from None
        yield wav
