"""What is too long, too large, or more than the disk holds, and how that is said."""

import shutil
from pathlib import Path

from vc_download.failures import Reason, failure


def must_be_short(source: str, seconds: float, most: float) -> None:
    """Raises the failure when a recording, or a section of it, lasts more than ``most`` seconds."""
    if seconds > most:
        said = f"lasts {seconds:.0f} s, more than {most:.0f} s"
        raise failure(Reason.TOO_LONG, source, said)


def must_be_small(source: str, size: int, most: float) -> None:
    """Raises the failure when ``size`` is more than ``most``, in bytes."""
    if size > most:
        said = f"has {size / 1e6:.0f} MB, more than {most / 1e6:.0f} MB"
        raise failure(Reason.TOO_LARGE, source, said)


def must_have_room(source: str, size: float, folder: Path, said: str = "has {} MB") -> None:
    """Raises the failure when ``size`` bytes are more than the disk of ``folder`` has free."""
    free = shutil.disk_usage(folder).free
    if size > free:
        needed = said.format(f"{size / 1e6:.0f}")
        said = f"{needed}, and {free / 1e6:.0f} MB are free on the disk"
        raise failure(Reason.DISK_FULL, source, said)
