"""What failed, in the words of the page: where, why, and how to try again."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vc_core import errors, log
from vc_core import failures as records
from vc_core.failures import Failure


@dataclass(frozen=True)
class Kind:
    """Failures of one stage for one reason, "" where none was given."""

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
        key = (failure.stage, failure.reason or "")
        found.setdefault(key, Kind(*key, [])).failures.append(failure)
    return sorted(found.values(), key=lambda kind: -len(kind.failures))


def where(failure: Failure) -> str:
    """``voice / source``, or the voice alone."""
    return f"{failure.voice} / {failure.source}" if failure.source else failure.voice


def said(failure: Failure) -> str:
    """The message without the reason and the mend, which the page tells beside it."""
    message = failure.message.removesuffix(f"; {failure.mend}") if failure.mend else failure.message
    return message.removesuffix(f" ({failure.reason})")


def advice(failure: Failure) -> str:
    """How to try again, one sentence."""
    again = f"run voice-clone retry (or delete {failure.record}), then the workflow again"
    if failure.mend:
        mend = _sentence(failure.mend)
        return f"{mend}{_later(failure)}." if failure.passing else f"{mend}; then {again}."
    if failure.passing:
        return "Often passing trouble, such as the network: run the workflow again."
    if failure.exit_code == errors.BAD_INPUT:
        return f"Mend this input or take it out of the configuration; {again}."
    if failure.exit_code == errors.USAGE:
        return f"Mend the settings of {failure.stage} in the configuration; {again}."
    return f"Read the log of {failure.stage} and mend what it names; {again}."


def told(path: Path | None) -> list[Failure] | None:
    """What the workflow's ``failures.json`` tells.

    None where there is no such file or it cannot be used: then the records themselves tell.
    What was mended after the file was written is left out: its record has gone.
    """
    if path is None or not path.is_file():
        return None
    try:
        found = records.written(path)
    except errors.InputError as error:
        log.get("report").warning("%s; the stages' own records are read instead", error)
        return None
    return [failure for failure in found if _stands(Path(failure.record))]


def _stands(record: Path) -> bool:
    """Whether a failure's record is there still, or lies where it cannot be looked for."""
    return record.is_file() or not record.parent.is_dir()


def _later(failure: Failure) -> str:
    if failure.retry_at is None:
        return ""
    clock = time.strftime("%Y-%m-%d %H:%M", time.localtime(failure.retry_at))
    return f"; the site said to come back after {clock}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
