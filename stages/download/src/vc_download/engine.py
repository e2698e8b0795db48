"""From a URL or a local file to a WAV, its provenance and its captions, all or nothing."""

import contextlib
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soundfile

from vc_common import audio, files, log, tools
from vc_common.errors import InputError, ToolError
from vc_download.fetched import Fetched

logger = log.get("download")

CAPTIONS = "captions.vtt"

# A file that ends this much earlier than it announces is worth a warning.
TRUNCATED = 0.98


def download(
    source: str,
    output: Path,
    *,
    rate: int = 44_100,
    channels: int = 2,
    name: str | None = None,
    licence: str | None = None,
    cookies: Path | None = None,
    language: str | None = None,
) -> dict[str, Any]:
    """Write ``source`` as 16-bit WAV to ``output`` and its provenance beside it, as ``.json``.

    Captions that people wrote go to ``captions.vtt`` in the same folder. Returns the
    provenance. Raises InputError when the source cannot be used, TryAgainError when the
    network or the site may serve it later; then nothing is left behind.
    """
    if output.suffix.lower() != ".wav":
        raise InputError(f"{output}: the output is WAV; name it .wav")
    local = _local_path(source)
    with contextlib.ExitStack() as stack:
        if local is not None:
            fetched = _from_disk(local)
        else:
            folder = stack.enter_context(_scratch(output))
            # yt-dlp takes a while to import: local files do without.
            from vc_download import web

            fetched = web.fetch(source, folder, cookies, language)
        original = _probe(fetched.path, source)
        wav = stack.enter_context(files.atomic(output))
        frames = _convert(fetched.path, wav, source, original, rate=rate, channels=channels)
        facts = fetched.facts
        provenance = {
            "url": facts.get("url"),
            "file": facts.get("file"),
            "extractor": facts["extractor"],
            "id": name or facts["id"],
            "title": facts.get("title"),
            "uploader": facts.get("uploader"),
            "upload_date": facts.get("upload_date"),
            "licence": licence or facts.get("licence"),
            "language": facts.get("language"),
            "duration": round(frames / rate, 3),
            "audio": {
                "file": output.name,
                "rate": rate,
                "channels": channels,
                "frames": frames,
                "sha256": files.sha256(wav),
            },
            "original": {
                "codec": original.codec,
                "rate": original.rate,
                "channels": original.channels,
                "seconds": round(original.seconds, 3),
                "bytes": fetched.path.stat().st_size,
                "sha256": files.sha256(fetched.path),
            },
            "captions": CAPTIONS if fetched.captions else None,
            "retrieved": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "versions": fetched.versions | {"ffmpeg": _ffmpeg_version()},
        }
        if fetched.captions:
            kept = stack.enter_context(files.atomic(output.with_name(CAPTIONS)))
            kept.write_bytes(fetched.captions.read_bytes())
        else:
            # Captions of an earlier source under this name are not this one's.
            output.with_name(CAPTIONS).unlink(missing_ok=True)
        # Leaving the stack renames the WAV last: what is found under its name is complete.
        files.write_json(output.with_suffix(".json"), provenance)
    return provenance


def _local_path(source: str) -> Path | None:
    """The local file that ``source`` names; None for http(s). InputError for other schemes."""
    scheme, separated, _ = source.partition("://")
    if not separated:
        return Path(source)
    parts = urllib.parse.urlsplit(source)
    if scheme.lower() == "file":
        return Path(urllib.request.url2pathname(parts.path))
    if scheme.lower() not in ("http", "https"):
        raise InputError(f"{source}: {scheme} is not supported; give an http(s) URL or a file")
    if parts.username or parts.password:
        # It would end in logs and in the provenance.
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        raise InputError(f"{shown}: has a password in it; leave it out, and give --cookies instead")
    return None


def _from_disk(path: Path) -> Fetched:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give one recording in it")
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    return Fetched(path, {"file": path.name, "extractor": "file", "id": path.stem})


@contextlib.contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """A folder for the original, on the output's disk, because it can be large."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=output.parent) as folder:
        yield Path(folder)


def _probe(path: Path, source: str) -> audio.AudioInfo:
    """What ffprobe says of ``path``, with complaints that name the ``source``."""
    if path.stat().st_size == 0:
        raise InputError(f"{source}: is empty (0 bytes); check what it should hold")
    try:
        return audio.probe(path)
    except InputError as error:
        raise InputError(str(error).replace(str(path), source)) from None


def _convert(
    path: Path, wav: Path, source: str, original: audio.AudioInfo, *, rate: int, channels: int
) -> int:
    """Decode ``path`` into ``wav``; returns its frames, of which there is at least one."""
    try:
        audio.convert(path, wav, rate, channels)
        frames = int(soundfile.info(wav).frames)
    except (ToolError, soundfile.LibsndfileError) as error:
        said = str(error).replace(str(path), source).replace(str(wav), "the WAV")
        raise InputError(f"{source}: cannot be decoded ({said})") from None
    if frames == 0:
        raise InputError(f"{source}: its audio lasts 0 s; check that the file is complete")
    if frames / rate < TRUNCATED * original.seconds:
        logger.warning(
            "%s: announces %.1f s, of which %.1f s can be decoded; it may be incomplete",
            source,
            original.seconds,
            frames / rate,
        )
    return frames


def _ffmpeg_version() -> str:
    """The third word of ``ffmpeg version 5.1.9 Copyright ...``."""
    return tools.run(["ffmpeg", "-version"]).split(maxsplit=3)[2]
