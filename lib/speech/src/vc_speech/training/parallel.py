"""Several processes that train one model together, one a GPU, on one machine.

Every process holds the whole model and learns from its share of each step's batches; the
gradients, few where an adapter is trained, are summed once a step. The first process alone
validates, writes and speaks to the user.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from vc_core import log
from vc_core.errors import InputError

if TYPE_CHECKING:
    import torch

logger = log.get("train")

AT_REST = (0, 75)  # how a process ends that is done, or that was asked to stop
PATIENCE = datetime.timedelta(hours=2)  # the others wait while the first validates


class Group:
    """The processes of a run; one alone is a group, too."""

    def __init__(self, device: str) -> None:
        """Join the group that the environment (RANK, WORLD_SIZE ...) describes, if any."""
        self.rank, self.size, self.device = 0, 1, device
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from accelerate import PartialState

            state = PartialState(cpu=device == "cpu", timeout=PATIENCE)
            self.rank, self.size = state.process_index, state.num_processes
            self.device = str(state.device)

    @property
    def first(self) -> bool:
        """Whether this process validates and writes."""
        return self.rank == 0

    def sum(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace tensors of one type by their sums over the group."""
        import torch

        if self.size == 1:
            return
        from accelerate.utils import reduce

        flat: Any = reduce(torch.cat([tensor.flatten() for tensor in tensors]), "sum")
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def any(self, *said: bool) -> list[bool]:
        """For every question whether any process says yes."""
        import torch

        votes = torch.tensor([float(vote) for vote in said], device=self.device)
        self.sum([votes])
        return [bool(vote > 0) for vote in votes]


@contextlib.contextmanager
def workers(count: int, device: str, again: Sequence[str]) -> Iterator[None]:
    """Start the other ``count - 1`` processes by the command ``again``; they end with the block.

    Nothing to start where ``torchrun`` or ``accelerate launch`` has started us already. Raises
    InputError when there are fewer GPUs.
    """
    if count == 1 or "RANK" in os.environ:
        yield
        return
    import torch

    if device == "cuda" and count > torch.cuda.device_count():
        raise InputError(
            f"--processes {count}: only {torch.cuda.device_count()} GPUs are visible; "
            "lower it, or ask for more"
        )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        **{"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)},
    }
    os.environ |= {**shared, "RANK": "0", "LOCAL_RANK": "0"}
    started = [
        subprocess.Popen(again, env=os.environ | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(1, count)
    ]
    done = threading.Event()
    threading.Thread(target=_watch, args=(started, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()
        for process in started:
            process.kill()
            process.wait()
        for name in (*shared, "RANK", "LOCAL_RANK"):
            del os.environ[name]


def _watch(started: Sequence[subprocess.Popen[bytes]], done: threading.Event) -> None:
    """End the run when one of its processes ends before it: the others would wait for it."""
    while not done.wait(1.0):
        ended = [process for process in started if process.poll() not in (None, *AT_REST)]
        if ended and not done.is_set():
            logger.error("a training process ended with %s; stopping", ended[0].returncode)
            for process in started:
                process.kill()
            os._exit(1)


def follow_parent() -> None:
    """Let a process that was started by another not outlive it."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
