"""No download hangs: a site that sends next to nothing for long is given up on."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from vc_download.failures import Reason, failure

STALL = 60.0  # seconds in which a site must send LEAST bytes
LEAST = 4096
_TICK = 0.5


class Watch:
    """Counts what arrives. ``rest`` says that we are waiting on purpose, or computing."""

    def __init__(self, source: str, patience: float, deadline: float) -> None:
        self._source = source
        self._patience = patience
        self._end = time.monotonic() + deadline
        self._bytes = 0
        self._since = time.monotonic()

    def seen(self, count: int) -> None:
        """``count`` bytes have arrived."""
        self._bytes += count
        if self._bytes >= LEAST:
            self.rest()

    def rest(self) -> None:
        """Begin to count anew."""
        self._bytes, self._since = 0, time.monotonic()

    def check(self) -> None:
        """Raises the failure when too little has arrived for too long."""
        now = time.monotonic()
        if now - self._since > self._patience:
            said = f"sent {self._bytes} bytes in {self._patience:g} s"
            raise failure(Reason.NETWORK, self._source, said)
        if now > self._end:
            raise failure(Reason.NETWORK, self._source, "sends more slowly than it plays")


@contextlib.contextmanager
def watched(source: str, sleep: float, longest: float) -> Iterator[Watch]:
    """A watch whose alarm interrupts whatever blocks, in the main thread; elsewhere it only counts.

    ``sleep`` are the seconds between requests, ``longest`` those that a recording may last: what
    takes longer than that to arrive is no recording. Raises TryAgainError out of the block.
    """
    watch = Watch(source, STALL + sleep, max(600.0, longest))
    if threading.current_thread() is not threading.main_thread():
        yield watch
        return

    def alarm(_: int, __: FrameType | None) -> None:
        watch.check()

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)
    try:
        yield watch
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
