"""The commands of extraction, run one after the other on a recording in a folder."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from truth import Span

STAGES = ("separate", "reference", "segment", "transcribe", "curate")
OUTPUTS = ("vocals.flac", "reference.wav", "segments.jsonl", "words.jsonl", "clips")


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code, its last words, what it took."""

    code: int
    said: str
    cpu_seconds: float
    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Source:
    """A recording in its folder, and the slice (or the whole) of a file that is the reference.

    ``options`` are further options by stage.
    """

    folder: Path
    recording: Path
    reference: Path
    span: Span | None = None
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def path(self, stage: str) -> Path:
        """Where a stage's output lies."""
        return self.folder / OUTPUTS[STAGES.index(stage)]

    def command(self, stage: str) -> list[str]:
        """The command line of a stage, with the models that packages ship."""
        vocals, reference, segments, words = (str(self.path(name)) for name in STAGES[:4])
        return {
            "separate": ["vc-separate", str(self.recording), "--model", "package:spleeter"],
            "reference": [
                *("vc-reference", str(self.reference), "--whisper", "none"),
                *(("--start", f"{self.span[0]}", "--end", f"{self.span[1]}") if self.span else ()),
            ],
            "segment": [
                *("vc-segment", vocals, "--reference", reference),
                *("--recording", str(self.recording)),
            ],
            "transcribe": [
                *("vc-transcribe", vocals, segments, "--model", "package:whisper-base"),
                *("--threads", "1"),
            ],
            "curate": [
                *("vc-curate", vocals, segments, words, "--reference", reference),
                *("--voice", "target", "--source", self.folder.name),
            ],
        }[stage] + [*self.options.get(stage, ()), "--output", str(self.path(stage))]


def extract(source: Source, first: str | None) -> tuple[str, Ended | None]:
    """Run the stages from ``first`` on, and earlier ones where their output is missing.

    Returns the last stage that ran and how it ended; later ones wait for what it left undone.
    """
    last, ended = "", None
    for stage in STAGES:
        if last or stage == first or not source.path(stage).exists():
            last, ended = stage, run(source.command(stage), source.folder / f"{stage}.log")
            if ended.code:
                break
    return last, ended


def run(command: Sequence[str], log: Path | None = None) -> Ended:
    """Run a program of this environment on one thread; ``log`` takes what it says."""
    program = Path(sys.executable).parent / command[0]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(
        [str(program), *command[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "LOG_LEVEL": "WARNING"},
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    seconds = time.perf_counter() - started
    # A program's own children (ffmpeg) count too: they are in what all children used meanwhile.
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if log:
        log.write_text(said, encoding="utf-8")
    return Ended(process.returncode, said.strip(), cpu, seconds, used.ru_maxrss * 1024 / 1e6)
