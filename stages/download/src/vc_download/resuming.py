"""Going on with a download only if the file on the site is still the same."""

import os
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

from yt_dlp.networking import Request, Response

from vc_core import files
from vc_download import scratch
from vc_download.failures import Reason, failure


class Validator:
    """What a site says to tell versions of a file apart (RFC 9110, section 8.8).

    It is kept beside the part that has arrived, so that the next run asks for the rest on the
    condition that nothing has changed. ``url`` is the media file now, which may have had another
    URL then; requests for anything else pass unseen.
    """

    def __init__(self, path: Path, url: str) -> None:
        self._url = url
        self._kept = path.with_name(f"{path.name}.validator.json")
        self.folder = path.parent
        self._begun = False
        self._all_there = False

    def ask(self, request: Request) -> None:
        """Make the request for the rest of a file conditional; for the whole, if it cannot be."""
        if request.url != self._url or _start(request) == 0:
            return
        known = scratch.kept(self._kept) or {}
        condition = known.get("etag") or known.get("modified")
        if condition:
            request.headers["If-Range"] = condition
        elif not self._begun:
            # Nobody could tell whether the part of an earlier run is of the same file.
            del request.headers["Range"]

    def no_more(self, request: Request) -> bool:
        """Take the next answer as the measure of the part, for the file ends where that does.

        False when the request was for something else.
        """
        if request.url != self._url:
            return False
        self._all_there = True
        return True

    def answered(self, source: str, request: Request, response: Response) -> None:
        """Keep what a whole answer says; raises the failure when a part is of another version."""
        if request.url != self._url:
            return
        said = _said(response)
        rest = response.status == HTTPStatus.PARTIAL_CONTENT and _start(request) > 0
        if (rest or self._all_there) and self._differs(said):
            scratch.forget(self.folder)
            raise failure(Reason.NETWORK, source, "has changed on its site in mid-download")
        if not rest:
            files.write_json(self._kept, said)
        self._begun, self._all_there = True, False

    def _differs(self, said: dict[str, Any]) -> bool:
        """Whether anything that both answers say is different."""
        known = scratch.kept(self._kept) or {}
        return any(known.get(key) and said[key] and known[key] != said[key] for key in said)


class Fragments:
    """How far a recording that comes in fragments had come whenever all of it was in order.

    yt-dlp appends a fragment to the part, and only then writes down which one is next. Killed in
    between, or in the middle of writing, it would append again what is there already.
    """

    def __init__(self, path: Path) -> None:
        self._part = path.with_name(f"{path.name}.part")
        self._next = path.with_name(f"{path.name}.ytdl")
        self._kept = path.with_name(f"{path.name}.fragments.json")

    def note(self) -> None:
        """Remember the state, between two fragments; nothing where there are none."""
        if self._next.is_file():
            files.write_json(self._kept, {"next": self._index(), "bytes": self._size()})

    def settle(self) -> None:
        """Bring what a killed run left back into order."""
        if not self._next.is_file():
            return
        noted, index = scratch.kept(self._kept) or {"next": None, "bytes": 0}, self._index()
        known = index is not None and noted["next"] in (index, index - 1)
        if not known or self._size() < noted["bytes"]:
            for path in (self._part, self._next, self._kept):
                path.unlink(missing_ok=True)
        elif noted["next"] == index:
            # What is there beyond was appended, but not written down.
            os.truncate(self._part, noted["bytes"])

    def _index(self) -> int | None:
        try:
            return int(scratch.kept(self._next)["downloader"]["current_fragment"]["index"])
        except (TypeError, KeyError, ValueError):
            return None

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.is_file() else 0


def keep_only(folder: Path, choice: dict[str, Any]) -> None:
    """Forget what has arrived of another recording or format than the ``choice``.

    Sites do not offer the same formats each time, and the end of one does not fit another's start.
    """
    path = folder / f"{scratch.ORIGINAL}.choice.json"
    if scratch.kept(path) != choice:
        scratch.forget(folder)
        files.write_json(path, choice)


def _start(request: Request) -> int:
    """The first byte asked for."""
    found = re.match(r"bytes=(\d+)-", request.headers.get("Range") or "")
    return int(found[1]) if found else 0


def _said(response: Response) -> dict[str, Any]:
    etag = response.headers.get("ETag") or ""
    whole = response.headers.get("Content-Range", "").rpartition("/")[2]
    return {
        # A weak one says that a file means the same, not that its bytes are.
        "etag": "" if etag.startswith("W/") else etag,
        "modified": response.headers.get("Last-Modified"),
        "size": whole if whole.isdigit() else response.headers.get("Content-Length"),
    }
