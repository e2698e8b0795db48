"""What was fetched: the media file in its original form, and what is known about it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Captions:
    """Captions in a file that ffmpeg reads: whose they are, and in which language."""

    path: Path
    by: str  # people or automatic
    language: str


@dataclass(frozen=True)
class Fetched:
    """A media file as its site or disk gave it, and what is known about it."""

    path: Path
    facts: dict[str, Any]
    captions: Captions | None = None
    versions: dict[str, str] = field(default_factory=dict)
