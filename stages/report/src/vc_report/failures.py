"""What failed, where, why, and how to try again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vc_common import errors, files

STAGES = (
    "download", "separate", "reference", "segment", "transcribe", "curate",
    "dataset", "encode", "train", "synthesize", "evaluate",
)  # fmt: skip
SUFFIX = ".failed.json"


@dataclass(frozen=True)
class Failure:
    """One stage that ended without its output. ``source`` is "" for a stage of a whole voice."""

    voice: str
    source: str
    stage: str
    exit_code: int
    message: str
    time: str
    record: Path

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
        if self.exit_code == errors.TRY_AGAIN:
            return "Often passing trouble, such as the network: run the workflow again."
        if self.exit_code == errors.BAD_INPUT:
            return f"Mend this input or take it out of the configuration; {again}."
        if self.exit_code == errors.USAGE:
            return f"Mend the settings of {self.stage} in the configuration; {again}."
        return f"Read the log of {self.stage} and mend what it names; {again}."


def read(path: Path, voice: str, source: str = "") -> Failure:
    """Read one ``<output>.failed.json``; one that cannot be read is a failure all the same."""
    row: dict[str, Any] = {}
    try:
        row = files.read_json(path)
        code = int(row.get("exit_code", errors.FAILED))
    except (errors.InputError, AttributeError, TypeError, ValueError):
        return Failure(voice, source, "unknown", errors.FAILED, f"{path}: unreadable", "", path)
    return Failure(
        voice=voice,
        source=source,
        stage=str(row.get("stage", "unknown")),
        exit_code=code,
        message=str(row.get("message", "no reason was given")),
        time=str(row.get("time", "")),
        record=path,
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
