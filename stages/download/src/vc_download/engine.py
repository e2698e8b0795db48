"""From a URL or a local file to a WAV, its provenance and its captions, all or nothing."""

import contextlib
import errno
import hashlib
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from vc_core import files, log, media, urls
from vc_core.errors import InputError, ToolError
from vc_download import caps, captions, decode, scratch
from vc_download.decode import Decoded
from vc_download.failures import Reason, failure
from vc_download.fetched import Fetched
from vc_download.options import DownloadOptions
from vc_download.section import Section

logger = log.get("download")

CAPTIONS = "captions.vtt"


def download(
    source: str, output: Path, name: str | None, section: Section, options: DownloadOptions
) -> dict[str, Any]:
    """Write ``source`` as 16-bit WAV to ``output`` and its provenance beside it, as ``.json``.

    Captions go to ``captions.vtt`` in the same folder. ``name`` is the recording's id, None for
    the site's. Returns the provenance. Raises the failures of ``vc_download.failures``: InputError
    when the source cannot be used, TryAgainError when the network or the site may serve it later.
    Then nothing is left behind but, hidden, what has arrived so far; the next call goes on from
    there.
    """
    local = local_path(source)
    if local is not None:
        _must_be_allowed(source, local, options.folders)
        fetched = _from_disk(source, local)
    if output.suffix.lower() != ".wav":
        raise InputError(f"{output}: the output is WAV; name it .wav")
    # What was asked for, without keeping a token that may stand in it.
    request = {"source": hashlib.sha256(source.encode()).hexdigest()}
    with _told_when_full(source), scratch.scratch(output, request) as folder:
        if local is None:
            # yt-dlp takes a while to import: local files do without.
            from vc_download import web

            fetched = web.fetch(source, folder, section, options)
        # As messages and warnings name it.
        shown = urls.public(source)
        original = decode.probe(fetched.path, shown)
        _must_fit(shown, original, fetched.path, section, options, folder)
        wav = folder / "decoded.wav"
        decoded = decode.to_wav(
            fetched.path,
            wav,
            source=shown,
            rate=options.sample_rate,
            channels=options.channels,
            start=section.start,
            end=section.end,
            longest=options.max_seconds,
            original=original,
        )
        caps.must_be_short(shown, decoded.frames / options.sample_rate, options.max_seconds)
        _must_be_whole(shown, decoded, folder, local is None)
        vtt = _captions(shown, fetched, folder, section)
        spoken = fetched.captions if vtt else None
        told = {
            "id": name or fetched.facts["id"],
            **_facts(fetched, decoded, wav, output, section, options),
            "captions": CAPTIONS if spoken else None,
            "captions_by": spoken.by if spoken else None,
            "captions_language": spoken.language if spoken else None,
        }
        _put(output, wav, vtt, told)
    return told


def local_path(source: str) -> Path | None:
    """The local file that ``source`` names; None for http(s).

    Raises the failure for other schemes, and for what is no URL although it looks like one.
    """
    scheme, separated, _ = source.partition("://")
    if not separated:
        return Path(source)
    try:
        parts = urllib.parse.urlsplit(source)
        parts.port  # noqa: B018 - is read when it is asked for
    except ValueError as error:
        raise failure(Reason.UNSUPPORTED_URL, source, f"is no valid URL ({error})") from None
    if scheme.lower() == "file":
        return Path(urllib.request.url2pathname(parts.path))
    if scheme.lower() not in ("http", "https"):
        raise failure(Reason.UNSUPPORTED_URL, source, f"{scheme} is neither http(s) nor a file")
    if parts.username or parts.password:
        # It would stand in the configuration, which is written down beside the results.
        mend = "leave it out, and set download.cookies instead"
        raise failure(Reason.UNSUPPORTED_URL, source, "has a password in it", mend=mend)
    return None


def _must_be_allowed(source: str, path: Path, folders: Sequence[Path]) -> None:
    """Links count as what they lead to."""
    real = path.resolve()
    if folders and not any(real.is_relative_to(folder.resolve()) for folder in folders):
        told = ", ".join(map(str, folders))
        raise failure(Reason.REFUSED_ADDRESS, source, f"lies outside the allowed folders {told}")


def _from_disk(source: str, path: Path) -> Fetched:
    if path.is_dir():
        raise failure(Reason.NOT_FOUND, source, "is a folder; give one recording in it")
    if not path.exists():
        raise failure(Reason.NOT_FOUND, source, "no such file")
    if not path.is_file():
        raise failure(Reason.NO_AUDIO, source, "is a device or a pipe, not a file")
    return Fetched(path, {"file": path.name, "extractor": "file", "id": path.stem})


@contextlib.contextmanager
def _told_when_full(source: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise failure(Reason.DISK_FULL, source, "does not fit on the disk") from None


def _must_fit(
    source: str,
    original: media.AudioInfo,
    path: Path,
    section: Section,
    options: DownloadOptions,
    folder: Path,
) -> None:
    """Refuse what is too large or too long before it is decoded."""
    caps.must_be_small(source, path.stat().st_size, options.max_bytes)
    seconds = section.length(original.seconds)
    caps.must_be_short(source, seconds, options.max_seconds)
    size = seconds * options.sample_rate * options.channels * decode.BYTES
    caps.must_have_room(source, size, folder, "needs {} MB as WAV")


def _must_be_whole(source: str, decoded: Decoded, folder: Path, from_web: bool) -> None:
    """What the web sent only half of is fetched again; what lies half on disk is used, and said."""
    for warning in decoded.warnings:
        logger.warning("%s", warning)
    if not decoded.truncated:
        return
    said = f"announces {decoded.announced:.1f} s, of which {decoded.found:.1f} s can be decoded"
    if from_web:
        scratch.forget(folder)
        raise failure(Reason.NETWORK, source, said)
    logger.warning("%s: %s; it may be incomplete", source, said)


def _captions(source: str, fetched: Fetched, folder: Path, section: Section) -> Path | None:
    """The captions as WebVTT in the scratch folder; trouble with them is only a warning."""
    if fetched.captions is None:
        return None
    vtt = folder / CAPTIONS
    try:
        captions.write(fetched.captions, vtt, section)
    except ToolError as error:
        logger.warning("%s: captions left out: %s", source, error)
        return None
    return vtt


def _facts(
    fetched: Fetched,
    decoded: Decoded,
    wav: Path,
    output: Path,
    section: Section,
    options: DownloadOptions,
) -> dict[str, Any]:
    """Where the recording is from and what it is; tags of the file where no site says it."""
    told, original = fetched.facts, decoded.original
    tags = original.tags
    return {
        "url": told.get("url"),
        "canonical_url": told.get("canonical_url"),
        "file": told.get("file"),
        "extractor": told["extractor"],
        "site_id": told["id"],
        "title": told.get("title") or tags.get("title"),
        "uploader": told.get("uploader") or tags.get("artist"),
        "upload_date": told.get("upload_date") or tags.get("date"),
        "licence": options.licence
        or told.get("licence")
        or tags.get("license")
        or tags.get("copyright"),
        "language": told.get("language"),
        "duration": round(decoded.frames / options.sample_rate, 3),
        "section": None if section == Section() else {"start": section.start, "end": section.end},
        "audio": {
            "file": output.name,
            "rate": options.sample_rate,
            "channels": options.channels,
            "frames": decoded.frames,
            "sha256": files.sha256(wav),
        },
        "original": {
            "container": original.container,
            "codec": original.codec,
            "rate": original.rate,
            "channels": original.channels,
            "seconds": round(original.seconds, 3),
            "bytes": fetched.path.stat().st_size,
            "sha256": files.sha256(fetched.path),
        },
        "formats": told.get("formats", []),
        "retrieved": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": fetched.versions | {"ffmpeg": original.ffmpeg},
    }


def _put(output: Path, wav: Path, vtt: Path | None, provenance: dict[str, Any]) -> None:
    """Put all in place, the WAV last: what is found under its name is complete."""
    beside = output.with_name(CAPTIONS)
    if vtt:
        vtt.replace(beside)
    else:
        # Captions of an earlier source under this name are not this one's.
        beside.unlink(missing_ok=True)
    files.write_json(output.with_suffix(".json"), provenance)
    wav.replace(output)
