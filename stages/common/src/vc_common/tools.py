"""External programs: found or named as missing, and quoted when they fail."""

import shutil
import subprocess
from collections.abc import Sequence

from vc_common.errors import ToolError


def run(command: Sequence[str]) -> str:
    """Run a program to its end and return its stdout.

    Raises ToolError when it is not installed, or with its last words when it fails.
    """
    if shutil.which(command[0]) is None:
        raise ToolError(f"{command[0]}: not installed; on Debian: apt-get install {command[0]}")
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise ToolError(f"{command[0]} failed ({done.returncode}): {last_words(done.stderr)}")
    return done.stdout


def last_words(text: str, lines: int = 2) -> str:
    """The last lines of a program's complaint, in one line."""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(said[-lines:]) or "it said nothing"
