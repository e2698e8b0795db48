"""Audio in and out: float32 samples in [-1, 1], shape [frames] or [frames, channels]."""

import contextlib
import io
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from vc_common import files, tools
from vc_common.errors import InputError, ToolError

Samples = npt.NDArray[np.float32]

ENGINE_RATE = 16_000  # Hz: what Silero VAD, Whisper, the speaker encoder and DNSMOS hear
TTS_RATE = 24_000  # Hz: what Mimi, the codec of CSM, speaks

# What libsndfile seeks in to the sample.
_SEEKABLE = {"WAV", "WAVEX", "RF64", "FLAC", "AIFF", "OGG"}


# The containers that ffmpeg may open: those recordings come in, of which none names a second file
# or an address (with the options left as they are here). ffmpeg goes by what is in a file, not by
# its name, so without this list a talk.mp3 that is an HLS or concat script would make it read
# other files, or call servers. Names that a version of ffmpeg does not know do no harm.
CONTAINERS = (
    *("wav", "w64", "aiff", "caf", "au", "iff", "sox", "ircam", "nistsphere", "voc", "avr"),
    *("pvf", "paf", "epaf", "nsp", "sds", "hcom", "wve", "sln", "dsf", "wsd", "mmf"),
    *("flac", "ape", "wv", "tta", "tak", "shn", "mlp", "truehd", "bonk", "osq", "rka"),
    *("mp3", "aac", "loas", "ogg", "mpc", "mpc8", "vqf", "oma", "sbc", "aptx", "aptx_hd"),
    *("ac3", "eac3", "ac4", "dts", "dtshd", "spdif", "adp", "daud"),
    *("amr", "amrnb", "amrwb", "gsm", "g722", "g723_1", "g726", "g726le", "g729", "bit"),
    *("ilbc", "qcp", "codec2", "dss", "act", "rso", "xwma", "aea", "lc3", "iamf"),
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "asf", "asf_o", "avi", "flv"),
    *("mpegts", "mpeg", "mxf", "gxf", "nut", "rm", "ivr", "wtv", "dv", "nsv", "ty", "pva"),
)

# Tags come from strangers: so much of each is kept, and so many of them.
_TAG_LENGTH = 500
_TAGS = 50


@dataclass(frozen=True)
class AudioInfo:
    """What a file says of its audio: Hz, channels, seconds, codec.

    ``seconds`` is 0 where it does not say, and an estimate in some formats. ``container`` has
    ffmpeg's name for it, such as ``wav`` or ``matroska,webm``; ``stream`` counts the file's audio
    streams from 0; ``layout`` is empty where it is not told which channel is which; ``bit_rate``
    is in bit/s. ``tags`` are the file's own words, shortened, on one line each. ``streams`` counts
    streams of all kinds.
    """

    rate: int
    channels: int
    seconds: float
    codec: str
    container: str = ""
    stream: int = 0
    layout: str = ""
    bit_rate: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    streams: int = 1


def ffmpeg_input(path: Path) -> list[str]:
    """Options by which ffmpeg and ffprobe read the file ``path``, and neither another nor the net.

    ``file:`` keeps a name such as ``-i.wav`` or ``http:.wav`` from being an option or an address.
    """
    return [
        *("-protocol_whitelist", "file", "-format_whitelist", ",".join(CONTAINERS)),
        *("-i", f"file:{path}"),
    ]


def probe(path: Path) -> AudioInfo:
    """Ask ffprobe about the audio stream that players would choose: the default, else the first.

    Raises InputError when there is none, or when ``path`` is no recording but names others.
    """
    shown = tools.printable(str(path))
    asked = (
        "stream=codec_type,codec_name,sample_rate,channels,channel_layout,duration,bit_rate"
        ":stream_disposition=default:stream_tags:format=format_name,duration,bit_rate:format_tags"
    )
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", asked]
    try:
        described = json.loads(tools.run([*command, *ffmpeg_input(path)]))
    except tools.MissingToolError:
        raise
    except ToolError as error:
        raise InputError(_unreadable(shown, str(error))) from None
    streams = described.get("streams", [])
    heard = [stream for stream in streams if stream.get("codec_type") == "audio"]
    if not heard:
        raise InputError(f"{shown}: has no audio; give a recording with an audio track")
    number = next((n for n, s in enumerate(heard) if s["disposition"]["default"]), 0)
    stream, container = heard[number], described["format"]
    if not int(stream.get("sample_rate", 0)) or not stream.get("channels"):
        raise InputError(
            f"{shown}: its audio ({stream.get('codec_name', 'unknown')}) is in a form that ffmpeg "
            "does not know; convert it to WAV or FLAC"
        )
    rate = stream.get("bit_rate") or container.get("bit_rate")
    return AudioInfo(
        rate=int(stream["sample_rate"]),
        channels=int(stream["channels"]),
        seconds=_seconds(stream, container),
        codec=stream.get("codec_name", "unknown"),
        container=container["format_name"],
        stream=number,
        layout=_layout(stream.get("channel_layout", "")),
        bit_rate=int(rate) if rate else None,
        tags=_tags(container.get("tags", {}) | stream.get("tags", {})),
        streams=len(streams),
    )


def _layout(said: str) -> str:
    """The layout where it names loudspeakers; versions of ffprobe differ in what else they say."""
    return "" if re.search("unknown|channels|ambisonic", said) else said


def _seconds(stream: Mapping[str, Any], container: Mapping[str, Any]) -> float:
    """The stream's own length where it is told; Matroska tells it in a tag, as 00:01:02.5."""
    of_file = float(container.get("duration") or 0)
    if stream.get("duration"):
        return max(0.0, float(stream["duration"]))
    told = re.fullmatch(
        r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.get("tags", {}).get("DURATION", "")
    )
    if not told:
        return max(0.0, of_file)
    hours, minutes, seconds = map(float, told.groups())
    # A program that cut the file may have left the tag of the whole.
    return min(hours * 3600 + minutes * 60 + seconds, of_file)


def _tags(said: Mapping[str, str]) -> dict[str, str]:
    kept = list(said.items())[:_TAGS]
    return {
        tools.printable(name[:_TAG_LENGTH]): tools.printable(value[:_TAG_LENGTH]).strip()
        for name, value in kept
    }


def _unreadable(shown: str, said: str) -> str:
    refused = re.search(r"(?:\[([\w,]+)\] )?Format not on whitelist", said)
    if refused:
        kind = refused.group(1) or "unknown"
        return (
            f"{shown}: is no recording that may be opened (ffmpeg takes it for {kind}, which is no "
            "container of sound or names other files); give the recording itself"
        )
    said = said.replace(f"file:{shown}: ", "")
    return f"{shown}: not a media file that ffmpeg reads ({said})"


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


def conversion(
    source: Path, target: Path, info: AudioInfo, rate: int, channels: int, *filters: str
) -> list[str]:
    """The ffmpeg command that writes what ``probe`` found in ``source`` as 16-bit WAV.

    ``filters`` of ffmpeg are applied last, at ``rate``. Beyond 4 GB the WAV is RF64.
    """
    chain = [*_mixing(info, channels), f"aresample={rate}", "aformat=sample_fmts=s16", *filters]
    return [
        # Without a layout, ffmpeg would guess one: of three microphones the third would be a
        # subwoofer, and left out. One and two channels are what they seem.
        *("ffmpeg", "-nostdin", "-v", "error", "-y", "-guess_layout_max", "2"),
        *ffmpeg_input(source),
        *("-map", f"0:a:{info.stream}", "-map_metadata", "-1", "-af", ",".join(chain)),
        *("-c:a", "pcm_s16le", "-f", "wav", "-rf64", "auto", f"file:{target}"),
    ]


def convert(source: Path, target: Path, rate: int, channels: int) -> None:
    """Let ffmpeg write the audio of ``source`` as 16-bit WAV to ``target``.

    Raises InputError when there is none, ToolError when it cannot be decoded.
    """
    tools.run(conversion(source, target, probe(source), rate, channels))


def _mixing(info: AudioInfo, channels: int) -> list[str]:
    """ffmpeg's filters from the channels there are to those that are wanted."""
    if channels == info.channels:
        return []
    if info.layout and info.channels > 1:
        # Known loudspeakers: mixed by ffmpeg's rules, turned down so far that nothing clips.
        return [f"aresample=rematrix_maxval=1,aformat=channel_layouts={channels}c"]
    # Nobody knows where these sound from: each channel becomes the mean of all. One channel
    # keeps its level, which ffmpeg's own way to stereo would lower by 3 dB; should it become two
    # on the way, as in podcasts with spliced advertisements, both are heard.
    known = ":channel_layouts=mono" if info.channels == 1 else ""
    mean = "+".join(f"{1 / info.channels:.9f}*c{n}" for n in range(info.channels))
    # In float, because in 16 bits the weights would be rounded too.
    return [
        f"aformat=sample_fmts=fltp{known}",
        f"pan={channels}c|" + "|".join(f"c{n}={mean}" for n in range(channels)),
    ]


def rms_db(samples: Samples) -> float:
    """Root-mean-square level in dB relative to full scale; -120 for digital silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
    return 10 * float(np.log10(max(power, 1e-12)))


@contextlib.contextmanager
def _decoded_by_ffmpeg(path: Path) -> Iterator[Path]:
    """What libsndfile does not know, as a WAV in a temporary folder."""
    info = probe(path)
    with tempfile.TemporaryDirectory(prefix="vc-audio-") as folder:
        wav = Path(folder) / "decoded.wav"
        try:
            tools.run(conversion(path, wav, info, info.rate, info.channels))
        except ToolError as error:
            raise InputError(f"{path}: cannot be decoded ({error})") from None
        yield wav
