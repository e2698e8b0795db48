"""The hidden folder in which a download grows, and from which a killed one goes on."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vc_core import files
from vc_core.errors import InputError, TryAgainError

ORIGINAL = "original"  # the media file, under this name once it is whole
PART = "original.part"  # what has arrived of it, as yt-dlp calls it
_REQUEST = "request.json"
_LOCK = "lock"


def folder_of(output: Path) -> Path:
    """Where the parts of ``output`` lie: beside it, on its disk, hidden."""
    return output.with_name(f".{output.name}.partial")


@contextlib.contextmanager
def scratch(output: Path, request: Mapping[str, Any]) -> Iterator[Path]:
    """The folder in which ``output`` is made; it goes when the block succeeds.

    What is left of an earlier run is kept if that was for the same ``request``, and kept again
    when the block is interrupted or fails in a way that another try may mend. Raises TryAgainError
    when another process is at it.
    """
    folder = folder_of(output)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        if kept(folder / _REQUEST) != request:
            _empty(folder)
            files.write_json(folder / _REQUEST, dict(request))
        _sweep(folder)
        try:
            yield folder
        except (TryAgainError, KeyboardInterrupt):
            if not any((folder / name).exists() for name in (ORIGINAL, PART)):
                shutil.rmtree(folder)
            raise
        except BaseException:
            shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def kept(path: Path) -> Any:
    """What an earlier run wrote down in its folder; None where it did not get so far."""
    try:
        return files.read_json(path)
    except InputError:
        return None


def forget(folder: Path) -> None:
    """Throw away what has arrived: it cannot be gone on from."""
    for path in folder.glob(f"{ORIGINAL}*"):
        path.unlink()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            busy = True
        else:
            # Whoever held it may have ended, and taken the folder away, between the two lines.
            busy = os.fstat(lock.fileno()).st_nlink == 0
        if busy:
            raise TryAgainError(f"{folder}: another download is writing here; wait for its end")
        yield


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _sweep(folder: Path) -> None:
    """All but the download itself is made anew."""
    for path in folder.iterdir():
        if path.name not in (_LOCK, _REQUEST) and not path.name.startswith(ORIGINAL):
            path.unlink()
