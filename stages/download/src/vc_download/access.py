"""How to get at recordings, and what is refused of them."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Access:
    """How to get at a recording; none of it is written down anywhere.

    ``rate_limit`` is in bytes a second (None: any), ``sleep`` in seconds between requests,
    ``js_runtime`` a NAME or NAME:PATH (``none``: no JavaScript is run), ``allow_hosts`` names
    hosts that may have loopback, private or link-local addresses.
    """

    cookies: Path | None = None
    user_agent: str | None = None
    proxy: str | None = None
    rate_limit: int | None = None
    sleep: float = 0.0
    js_runtime: str = "deno"
    allow_hosts: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Limits:
    """What is refused: recordings longer than ``seconds`` or larger than ``bytes``.

    Local recordings must lie in one of ``folders``; where there are none, anywhere.
    """

    seconds: float = 21_600.0
    bytes: int = 10_000_000_000
    folders: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Section:
    """The part of a recording that is wanted, in seconds; None for its start or its end."""

    start: float | None = None
    end: float | None = None

    def length(self, whole: float) -> float:
        """How many seconds of a recording of ``whole`` seconds that is."""
        return max(0.0, min(self.end or whole, whole) - (self.start or 0.0))
