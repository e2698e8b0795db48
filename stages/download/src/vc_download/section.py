"""The part of a recording that is wanted."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """The part of a recording that is wanted, in seconds; None for its start or its end."""

    start: float | None = None
    end: float | None = None

    def length(self, whole: float) -> float:
        """How many seconds of a recording of ``whole`` seconds that is."""
        return max(0.0, min(self.end or whole, whole) - (self.start or 0.0))
