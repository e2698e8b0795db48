"""External programs: found or named as missing, and quoted when they fail."""

import os
import re
import shutil
import subprocess
import tempfile
import unicodedata
from collections.abc import Callable, Sequence

from vc_core.errors import ToolError

# Of what a program says on its way, this much of the end is kept for its last words.
_LAST_BYTES = 8192

# Where in memory ffmpeg's parts lie helps nobody: "[hls @ 0x560bf4c3a280] ...".
_ADDRESS = re.compile(r" @ 0x[0-9a-f]+")

_DIRECTIONS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


class MissingToolError(ToolError):
    """A program is not installed, which is no fault of what it was to read."""


def run(command: Sequence[str]) -> str:
    """Run a program to its end and return its stdout.

    Raises ToolError when it is not installed, or with its last words when it fails.
    """
    _must_be_installed(command[0])
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise _failed(command[0], done.returncode, done.stderr)
    return done.stdout


def follow(command: Sequence[str], heard: Callable[[str], None]) -> None:
    """Run a program to its end, and hand on each line of its stdout as it comes.

    Whatever ends the waiting (Ctrl-C, SIGTERM, an error in ``heard``) ends the program too.
    Raises ToolError as ``run`` does.
    """
    _must_be_installed(command[0])
    # stderr goes to a file: a pipe that nobody empties meanwhile would block the program.
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    heard(line)
                code = process.wait()
            except BaseException:
                process.kill()
                raise
        if code != 0:
            complaints.seek(max(0, complaints.seek(0, os.SEEK_END) - _LAST_BYTES))
            raise _failed(command[0], code, complaints.read().decode(errors="replace"))


def last_words(text: str, lines: int = 2) -> str:
    """The last lines of a program's complaint, in one line without control characters."""
    said = [printable(line).strip() for line in _ADDRESS.sub("", text).splitlines()]
    return " | ".join([line for line in said if line][-lines:]) or "it said nothing"


def printable(text: str) -> str:
    """``text`` on one line: control characters and what reorders a line as spaces."""
    return "".join(" " if _disturbs(letter) else letter for letter in text)


def _disturbs(letter: str) -> bool:
    # Line and paragraph separators, surrogates, controls; then the overrides of the direction.
    # Joiners stay: Persian, Hindi and emoji are written with them.
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _DIRECTIONS


def _must_be_installed(program: str) -> None:
    if shutil.which(program) is None:
        raise MissingToolError(f"{program}: not installed; on Debian: apt-get install {program}")


def _failed(program: str, code: int, stderr: str) -> ToolError:
    return ToolError(f"{program} failed ({code}): {last_words(stderr)}")
