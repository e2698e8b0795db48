"""Media files of all kinds through ffmpeg: what is in them, and their sound as WAV.

Nothing of this needs NumPy, whose import would take longer than the rest of a small download.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vc_core import tools
from vc_core.errors import InputError, ToolError

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
    streams of all kinds; ``ffmpeg`` is the version that says all this.
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
    ffmpeg: str = ""


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
        "program_version=version:stream=codec_type,codec_name,sample_rate,channels,channel_layout,duration,bit_rate"
        ":stream_disposition=default:stream_tags:format=format_name,duration,bit_rate:format_tags"
    )
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_program_version"]
    command += ["-show_entries", asked]
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
        ffmpeg=described["program_version"]["version"],
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
