"""From a media file as it came to a 16-bit WAV of a given rate, whole or a section of it."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vc_core import log, media, tools
from vc_core.errors import InputError, StageError, ToolError
from vc_download.failures import Reason, failure

# Less than this share of the length that a header announces, and the file is incomplete; but for
# what codecs add at the start and the end, in seconds, which some headers count in.
WHOLE = 0.98
_ADDED = 0.5

# Containers whose header tells the length. In others ffmpeg infers it: from the bit rate, from the
# last page (Ogg), or from a header that programs that cut the file leave as it was (MP3). WAV is
# not here because ffprobe tells how much is left of one; its header is read below.
_TELLS_ITS_LENGTH = {"flac", "mov", "matroska", "aiff", "au", "tta", "wv"}

# A codec fills its last block, and only the header tells with how much: up to a block of AAC with
# its extension, in samples. Below the least, in seconds, it is not worth another pass.
_PADDING = 4096
_LEAST_PADDING = 0.02

# WAV written to a pipe has such a size of its data, or 0.
_UNKNOWN_SIZE = 0x7FFF_0000

BYTES = 2  # of a sample, 16 bit

_NEAR = 1e-3  # seconds by which a section may miss its end untold


@dataclass(frozen=True)
class Decoded:
    """What a recording was and what came of it; lengths in seconds.

    ``announced`` is the length of the whole by its header, None where no header tells it;
    ``found`` the length of the whole as decoded, None where a section ends before it.
    ``truncated``: so much is missing of what was announced that the file is incomplete.
    ``warnings`` are each one line that names the source.
    """

    frames: int
    original: media.AudioInfo
    announced: float | None
    found: float | None
    truncated: bool
    warnings: tuple[str, ...] = ()


def to_wav(
    path: Path,
    wav: Path,
    *,
    source: str,
    rate: int,
    channels: int,
    start: float | None = None,
    end: float | None = None,
    longest: float | None = None,
    original: media.AudioInfo | None = None,
) -> Decoded:
    """Write the recording ``path``, or [start, end) seconds of it, to ``wav``.

    ``original`` is what ``probe`` said of it, where that is known. A section's times count from
    the first sample that can be decoded. A second beyond ``longest`` seconds the writing stops: a
    few bytes can hold days of silence. Failures name ``source`` and are those of
    ``failures.failure``: NO_AUDIO where there is nothing to hear, or nothing after ``start``;
    DISK_FULL. What is in ``wav`` then is to be thrown away.
    """
    original = original or probe(path, source)
    first, last = round((start or 0) * rate), None if end is None else round(end * rate)
    if last is not None and last <= first:
        raise InputError(f"{source}: its section ends at {end:g} s, no later than it starts")
    announced = _announced(path, original)
    job = _Job(path, wav, source, original, rate, channels, longest)
    frames = job.write(first, last)
    if frames == 0:
        raise _nothing(job, start or 0.0)
    found = (first + frames) / rate
    if announced and last is None and _LEAST_PADDING < found - announced < _padding(original):
        # The last block of the codec, as far as nobody ever recorded it.
        last = round(announced * rate)
        frames, found = job.write(first, last), announced
    ended = end is None or found < end - _NEAR
    return Decoded(
        frames=frames,
        original=original,
        announced=announced,
        found=found if ended else None,
        truncated=announced is not None and ended and _short(found, announced),
        warnings=tuple(_doubts(source, original, announced, found, end)) if ended else (),
    )


def _doubts(
    source: str,
    original: media.AudioInfo,
    announced: float | None,
    found: float,
    end: float | None,
) -> Iterator[str]:
    """What is odd about a recording that was decoded to where it ends."""
    if end is not None:
        yield f"{source}: ends at {found:.3f} s, before its section, which ends there too"
    if announced is None and _short(found, original.seconds):
        yield (
            f"{source}: should last about {original.seconds:.1f} s (by header or bit rate), of "
            f"which {found:.1f} s can be decoded; it may be incomplete"
        )


@dataclass(frozen=True)
class _Job:
    """One recording on its way to one WAV."""

    path: Path
    wav: Path
    source: str
    original: media.AudioInfo
    rate: int
    channels: int
    longest: float | None

    def write(self, first: int, last: int | None) -> int:
        """Write the frames [first, last) of the recording; returns how many there were."""
        upto = self.original.seconds if last is None else last / self.rate
        seconds = max(0.0, upto - first / self.rate)
        if first == 0 and last is None:
            return self._run(self.path, self.wav, self.original, seconds)
        end = "" if last is None else f":end_sample={last}"
        cut = f"atrim=start_sample={first}{end}"
        try:
            # Where channels or rate change on the way, ffmpeg would set up its filters anew and
            # count again from 0: it shall fail instead.
            steady = ["-reinit_filter", "0"]
            return self._run(self.path, self.wav, self.original, seconds, cut, before=steady)
        except InputError:
            return self._cut_afterwards(first, seconds, cut)

    def length(self) -> float:
        """How long the recording is, in seconds, found by decoding it."""
        # Only a section that begins after the end asks, so another pass does no harm.
        return self._run(self.path, self.wav, self.original, self.original.seconds) / self.rate

    def _cut_afterwards(self, first: int, seconds: float, cut: str) -> int:
        """Cut a WAV of the whole: slower, and the same whatever the recording is like."""
        whole = self.wav.with_name(f"{self.wav.stem}.whole.wav")
        try:
            skipped = first / self.rate
            self._run(self.path, whole, self.original, skipped + seconds, skipped=skipped)
            return self._run(whole, self.wav, media.probe(whole), seconds, cut)
        finally:
            whole.unlink(missing_ok=True)

    def _run(
        self,
        path: Path,
        wav: Path,
        info: media.AudioInfo,
        seconds: float,
        *filters: str,
        before: Sequence[str] = (),
        skipped: float = 0.0,
    ) -> int:
        command = media.conversion(path, wav, info, self.rate, self.channels, *filters)
        command[1:1] = [*before, "-progress", "pipe:1", "-nostats"]
        if self.longest is not None:
            most = round((skipped + self.longest + 1) * self.rate) * self.channels * BYTES
            command[-1:-1] = ["-fs", str(most)]
        try:
            with log.progress(desc="decode", total=round(seconds) or None, unit="s") as bar:
                tools.follow(command, lambda line: _advance(bar, line))
        except tools.MissingToolError:
            raise
        except ToolError as error:
            raise self._failed(str(error)) from None
        # By the length of the file, for ffmpeg has just written it, samples last.
        return (wav.stat().st_size - _WavHeader.of(wav).start) // (self.channels * BYTES)

    def _failed(self, said: str) -> StageError:
        if "No space left on device" in said:
            return failure(Reason.DISK_FULL, self.source, "the disk is full")
        for path, name in ((self.path, "the recording"), (self.wav, "the WAV")):
            said = said.replace(f"file:{path}", name).replace(str(path), name)
        return failure(Reason.NO_AUDIO, self.source, f"cannot be decoded ({said})")


def _advance(bar: Any, line: str) -> None:
    """Move the bar to where ffmpeg says it is: ``out_time_us=1500000``, or N/A at its start."""
    key, _, value = line.strip().partition("=")
    if key == "out_time_us" and value.lstrip("-").isdigit():
        bar.update(max(0, int(value) // 1_000_000 - bar.n))


def probe(path: Path, source: str) -> media.AudioInfo:
    """What ffprobe says of ``path``, with complaints that name the ``source``."""
    if path.stat().st_size == 0:
        raise failure(Reason.NO_AUDIO, source, "is empty (0 bytes)")
    try:
        return media.probe(path)
    except InputError as error:
        shown = tools.printable(str(path))
        # What comes after the semicolon is how to mend it, which the reason tells too.
        text = str(error).removeprefix(f"{shown}: ").replace(shown, source)
        raise failure(Reason.NO_AUDIO, source, text.rpartition("; ")[0] or text) from None


def _nothing(job: _Job, start: float) -> StageError:
    """The failure of a recording, or section, without a single frame."""
    length = job.length() if start else 0.0
    if length == 0:
        return failure(Reason.NO_AUDIO, job.source, "its audio lasts 0 s")
    said = f"its section starts at {start:g} s, but the recording ends at {length:.3f} s"
    return failure(Reason.NO_AUDIO, job.source, said)


def _short(found: float, announced: float) -> bool:
    """Whether so much is missing of what was announced that it is no matter of rounding."""
    return found < WHOLE * announced and found < announced - _ADDED


def _padding(original: media.AudioInfo) -> float:
    """The longest filling of a last block, in seconds."""
    return _PADDING / original.rate


def _announced(path: Path, original: media.AudioInfo) -> float | None:
    """How long the header says that the recording is, in seconds; None where it does not."""
    if original.container == "wav" and original.codec.startswith("pcm_"):
        header = _WavHeader.of(path)
        told = 0 < header.size < _UNKNOWN_SIZE or header.large
        return header.size / header.bytes_a_second if told and header.bytes_a_second else None
    if original.container.split(",")[0] in _TELLS_ITS_LENGTH:
        return original.seconds or None
    return None


@dataclass(frozen=True)
class _WavHeader:
    """Where the samples of a WAV begin, and how many bytes the header says they are.

    ``large``: it is RF64, which says so in 64 bits.
    """

    start: int = 0
    size: int = 0
    bytes_a_second: int = 0
    large: bool = False

    @classmethod
    def of(cls, path: Path) -> "_WavHeader":
        """The header of a file; without a start where it is none of WAV, or odd."""
        with path.open("rb") as file:
            form, _, kind = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
            bytes_a_second = large = 0
            while form in (b"RIFF", b"RF64") and kind == b"WAVE" and len(head := file.read(8)) == 8:
                name, size = struct.unpack("<4sI", head)
                if name == b"data":
                    return cls(file.tell(), large or size, bytes_a_second, form == b"RF64")
                after = file.tell() + size + size % 2
                if name == b"fmt " and size >= 12:
                    bytes_a_second = struct.unpack("<8xI", file.read(12))[0]
                if name == b"ds64" and size >= 16:
                    large = struct.unpack("<8xQ", file.read(16))[0]
                file.seek(after)
        return cls()
