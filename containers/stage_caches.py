"""Caches that can be written, whoever runs the image.

In an image /cache belongs to the image's user, and Apptainer mounts all of it read-only. A cache
that cannot be written there goes to a folder of the user's in /tmp. Loaded by stage_caches.pth at
every start of Python: Snakemake and Kubernetes pass the entry point by.
"""

import os
import tempfile
from pathlib import Path


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _private() -> Path:
    """The user's own folder in /tmp, shared by the user's runs, or else a new one."""
    folder = Path(tempfile.gettempdir()) / f"voice-clone-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if found.st_uid == os.getuid() and found.st_mode & 0o777 == 0o700:
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="voice-clone-"))


def settle() -> None:
    """Point the variables of unwritable caches elsewhere."""
    for variable in ("XDG_CACHE_HOME", "HF_HOME", "NUMBA_CACHE_DIR"):
        place = os.environ.get(variable)
        if place and not _writable(Path(place)):
            os.environ[variable] = str(_private() / Path(place).name)


settle()
