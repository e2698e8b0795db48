"""What stages gave up on: read from the records beside their outputs, kept in one file of a run."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vc_core import errors, files, urls

SUFFIX = ".failed.json"


@dataclass(frozen=True)
class Failure:
    """One stage that ended without its output. ``source`` is None for a stage of a whole voice.

    ``reason`` and ``mend`` come from the stage, where it gives some; ``retry_at`` is when a site
    said to come back, in seconds since the epoch. ``record`` is the file that all this is from.
    """

    voice: str
    source: str | None
    url: str | None
    stage: str
    exit_code: int
    reason: str | None
    message: str
    mend: str | None
    retry_at: float | None
    time: str
    record: str

    @property
    def where(self) -> str:
        """``voice/source``, or the voice alone."""
        return f"{self.voice}/{self.source}" if self.source else self.voice

    @property
    def passing(self) -> bool:
        """Whether running again may help without anything being mended."""
        return self.exit_code == errors.TRY_AGAIN


def of_sources(
    work: Path, results: Path, voice: str, urls: Mapping[str, str | None]
) -> list[Failure]:
    """The failures of one voice's sources, given as id to URL, in their order."""
    found: dict[str, list[Path]] = {}
    # One look at each folder: there may be thousands, on a slow file system.
    for path in sorted((work / voice).glob(f"*/*{SUFFIX}")):
        found.setdefault(path.parent.name, []).append(path)
    for path in sorted((results / voice / "clips").glob(f"*{SUFFIX}")):
        found.setdefault(path.name.removesuffix(SUFFIX), []).append(path)
    return [
        read(path, voice, source, url)
        for source, url in urls.items()
        for path in found.get(source, [])
    ]


def of_voice(results: Path, voice: str) -> list[Failure]:
    """The failures of the stages that work on a whole voice."""
    folders = (results / voice, results / voice / "reference")
    paths = [path for folder in folders for path in sorted(folder.glob(f"*{SUFFIX}"))]
    return [read(path, voice) for path in paths]


def read(path: Path, voice: str, source: str | None = None, url: str | None = None) -> Failure:
    """One ``<output>.failed.json``; one that cannot be read is a failure all the same."""
    try:
        return _made({**files.read_json(path), "voice": voice, "source": source, "url": url}, path)
    except (OSError, ValueError, KeyError, TypeError):
        told = {
            "voice": voice,
            "source": source,
            "url": url,
            "exit_code": errors.FAILED,
            "message": f"{path}: cannot be read; delete it and run again",
        }
        return _made(told, path)


def write(path: Path, failures: Iterable[Failure]) -> None:
    """Write the failures of a run as ``{"failures": [...]}``, whole or not at all."""
    files.write_json(path, {"failures": [_row(failure) for failure in failures]})


def written(path: Path) -> list[Failure]:
    """What ``write`` wrote; raises InputError where that cannot be used."""
    told = files.read_json(path)
    try:
        return [_made(row, Path(row["record"])) for row in told["failures"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.InputError(f"{path}: cannot be used ({error!r}); run again") from None


def _row(failure: Failure) -> dict[str, Any]:
    row = asdict(failure)
    if failure.retry_at is None:
        del row["retry_at"]
    return row


def _made(told: Mapping[str, Any], record: Path) -> Failure:
    retry_at = told.get("retry_at")
    return Failure(
        voice=str(told["voice"]),
        source=told.get("source"),
        url=urls.public(told["url"]) if told.get("url") else None,
        stage=str(told.get("stage", "unknown")),
        exit_code=int(told["exit_code"]),
        reason=told.get("reason"),
        message=str(told.get("message", "no reason was given")),
        mend=told.get("mend"),
        retry_at=None if retry_at is None else float(retry_at),
        time=str(told.get("time", "")),
        record=str(record),
    )
