"""What the stages gave up on: read from their records, written for the report, told to people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vc_core import errors, files

SUFFIX = ".failed.json"

# As many of a kind are told with all they say; of more only the kind is, and so many names.
FEW = 3
NAMES = 10


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


def of_sources(work: Path, results: Path, voice: str, urls: Mapping[str, str]) -> list[Failure]:
    """The failures of one voice's sources, given as id to URL, in their order."""
    found: dict[str, list[Path]] = {}
    # One look at each folder: there may be thousands, on a slow file system.
    for path in sorted((work / voice).glob(f"*/*{SUFFIX}")):
        found.setdefault(path.parent.name, []).append(path)
    for path in sorted((results / voice / "clips").glob(f"*{SUFFIX}")):
        found.setdefault(path.name.removesuffix(SUFFIX), []).append(path)
    return [
        _read(path, voice, source, url)
        for source, url in urls.items()
        for path in found.get(source, [])
    ]


def of_voice(results: Path, voice: str) -> list[Failure]:
    """The failures of the stages that work on a whole voice."""
    folders = (results / voice, results / voice / "reference")
    paths = [path for folder in folders for path in sorted(folder.glob(f"*{SUFFIX}"))]
    return [_read(path, voice, None, None) for path in paths]


def write(path: Path, failures: Iterable[Failure]) -> None:
    """Write ``{"failures": [...]}``, whole or not at all."""
    files.write_json(path, {"failures": [_row(failure) for failure in failures]})


def told(failures: Sequence[Failure]) -> list[str]:
    """A line for each failure, or for each kind of them where there are many of one kind."""
    kinds: dict[tuple[str, str | None], list[Failure]] = {}
    for failure in failures:
        kinds.setdefault((failure.stage, failure.reason), []).append(failure)
    lines = []
    for same in sorted(kinds.values(), key=len, reverse=True):
        if len(same) <= FEW:
            lines += [f"{one.where}: {one.stage}: {one.message}" for one in same]
        else:
            first = same[0]
            what = f"{first.reason} ({first.mend})" if first.reason else f"such as {first.message}"
            lines.append(f"{names([x.where for x in same])}: {len(same)} at {first.stage}: {what}")
    return lines


def how_to_go_on(failures: Sequence[Failure], skip: bool) -> str:
    """What failed in a run, by what to do about it; ``skip``: the next run goes on without."""
    go_on = "Mend them, and run the same command again"
    if skip:
        go_on = (
            "Run the same command again to go on without them, or mend them and have them tried "
            "again by voice-clone retry"
        )
    kinds = {
        f"These sources failed. {go_on}": [x for x in failures if x.source and not x.passing],
        "These met trouble that may pass. Run the same command again": [
            x for x in failures if x.passing
        ],
        "These voices failed. Mend what is said, and run the same command again": [
            x for x in failures if not x.source and not x.passing
        ],
    }
    return "\n".join(
        "\n  ".join([f"{head}:", *told(those)]) for head, those in kinds.items() if those
    )


def names(of: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    more = len(of) - NAMES
    return ", ".join(of[:NAMES]) + (f" and {more} more" if more > 0 else "")


def _row(failure: Failure) -> dict[str, Any]:
    row = asdict(failure)
    if failure.retry_at is None:
        del row["retry_at"]
    return row


def _read(path: Path, voice: str, source: str | None, url: str | None) -> Failure:
    """One record; one that cannot be read is a failure all the same."""
    try:
        told = json.loads(path.read_text("utf-8"))
        code = int(told["exit_code"])
    except (OSError, ValueError, KeyError, TypeError):
        told, code = {"message": f"{path}: cannot be read; delete it and run again"}, errors.FAILED
    return Failure(
        voice=voice,
        source=source,
        url=url,
        stage=str(told.get("stage", "unknown")),
        exit_code=code,
        reason=told.get("reason"),
        message=str(told.get("message", "no reason was given")),
        mend=told.get("mend"),
        retry_at=told.get("retry_at"),
        time=str(told.get("time", "")),
        record=str(path),
    )
