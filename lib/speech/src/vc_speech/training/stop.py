"""Being asked to stop, and the time to do it well."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Stop:
    """Asked by SIGTERM: end after a checkpoint instead of at once."""

    def __init__(self) -> None:
        self.asked = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGTERM for the length of the block."""
        before = signal.signal(signal.SIGTERM, self._ask)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _ask(self, signum: int, frame: FrameType | None) -> None:
        self.asked = True
