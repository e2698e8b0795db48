"""What failed, where, why, and how to try again."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vc_core import errors, files, log

STAGES = (
    "download", "separate", "reference", "segment", "transcribe", "curate",
    "dataset", "encode", "train", "synthesize", "evaluate",
)  # fmt: skip
SUFFIX = ".failed.json"


@dataclass(frozen=True)
class Failure:
    """One stage that ended without its output. ``source`` is "" for a stage of a whole voice.

    ``reason`` and ``mend`` are the stage's own, "" where it gives none; ``retry_at`` is when a
    site said to come back, in seconds since the epoch.
    """

    voice: str
    source: str
    stage: str
    exit_code: int
    message: str
    time: str
    record: Path
    reason: str = ""
    mend: str = ""
    retry_at: float | None = None

    @property
    def said(self) -> str:
        """The message without the reason and the mend, which the page tells beside it."""
        said = self.message.removesuffix(f"; {self.mend}") if self.mend else self.message
        return said.removesuffix(f" ({self.reason})")

    @property
    def where(self) -> str:
        """``voice / source``, or the voice alone."""
        return f"{self.voice} / {self.source}" if self.source else self.voice

    @property
    def order(self) -> int:
        """Place of the stage in the workflow: the earliest failure explains the later ones."""
        return STAGES.index(self.stage) if self.stage in STAGES else len(STAGES)

    @property
    def advice(self) -> str:
        """How to try again, one sentence."""
        again = f"run voice-clone retry (or delete {self.record}), then the workflow again"
        if self.mend:
            mend = _sentence(self.mend)
            return f"{mend}{self._later}." if self.passing else f"{mend}; then {again}."
        if self.passing:
            return "Often passing trouble, such as the network: run the workflow again."
        if self.exit_code == errors.BAD_INPUT:
            return f"Mend this input or take it out of the configuration; {again}."
        if self.exit_code == errors.USAGE:
            return f"Mend the settings of {self.stage} in the configuration; {again}."
        return f"Read the log of {self.stage} and mend what it names; {again}."

    @property
    def passing(self) -> bool:
        """Whether running again may help without anything being mended."""
        return self.exit_code == errors.TRY_AGAIN

    @property
    def _later(self) -> str:
        if self.retry_at is None:
            return ""
        clock = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.retry_at))
        return f"; the site said to come back after {clock}"


@dataclass(frozen=True)
class Kind:
    """Failures of one stage for one reason."""

    stage: str
    reason: str
    failures: list[Failure]

    @property
    def advice(self) -> str:
        """How all of them are tried again, "" where each has advice of its own."""
        first = self.failures[0]
        if not first.mend or {failure.mend for failure in self.failures} != {first.mend}:
            return ""
        mend = _sentence(first.mend)
        return f"{mend}." if first.passing else f"{mend}; then run voice-clone retry, and go on."


def kinds(failures: Sequence[Failure]) -> list[Kind]:
    """Failures by stage and reason, the most frequent kind first."""
    found: dict[tuple[str, str], Kind] = {}
    for failure in failures:
        key = (failure.stage, failure.reason)
        found.setdefault(key, Kind(*key, [])).failures.append(failure)
    return sorted(found.values(), key=lambda kind: -len(kind.failures))


def read(path: Path, voice: str, source: str = "") -> Failure:
    """Read one ``<output>.failed.json``; one that cannot be read is a failure all the same."""
    try:
        return _made(files.read_json(path), voice, source, path)
    except (errors.InputError, AttributeError, TypeError, ValueError):
        return Failure(voice, source, "unknown", errors.FAILED, f"{path}: unreadable", "", path)


def told(path: Path | None) -> list[Failure] | None:
    """What the workflow's ``failures.json`` tells, the cause of each source's failures first.

    None where there is no such file or it cannot be used: then the records themselves tell.
    What was mended after the file was written is left out: its record has gone.
    """
    if path is None or not path.is_file():
        return None
    try:
        found = [
            _made(row, str(row["voice"]), str(row.get("source") or ""), Path(row["record"]))
            for row in files.read_json(path)["failures"]
        ]
    except (errors.InputError, AttributeError, KeyError, TypeError, ValueError) as error:
        log.get("report").warning("%s: cannot be used (%r); records are read instead", path, error)
        return None
    there = [x for x in found if x.record.is_file() or not x.record.parent.is_dir()]
    return sorted(there, key=lambda failure: failure.order)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _made(row: Mapping[str, Any], voice: str, source: str, record: Path) -> Failure:
    retry_at = row.get("retry_at")
    return Failure(
        voice=voice,
        source=source,
        stage=str(row.get("stage", "unknown")),
        exit_code=int(row.get("exit_code", errors.FAILED)),
        message=str(row.get("message", "no reason was given")),
        time=str(row.get("time", "")),
        record=record,
        reason=str(row.get("reason") or ""),
        mend=str(row.get("mend") or ""),
        retry_at=None if retry_at is None else float(retry_at),
    )


def of_source(work: Path, clips: Path, voice: str, source: str) -> list[Failure]:
    """Failures of one source, the cause first."""
    paths = sorted((work / voice / source).glob(f"*{SUFFIX}"))
    own = clips / f"{source}{SUFFIX}"
    found = [read(path, voice, source) for path in [*paths, *([own] if own.is_file() else [])]]
    return sorted(found, key=lambda failure: failure.order)


def of_voice(results: Path, voice: str) -> list[Failure]:
    """Failures of the stages that work on a whole voice, the cause first."""
    paths = [*(results / voice).glob(f"*{SUFFIX}"), *(results / voice).glob(f"reference/*{SUFFIX}")]
    return sorted((read(path, voice) for path in paths), key=lambda failure: failure.order)
