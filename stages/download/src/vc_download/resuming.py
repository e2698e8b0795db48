"""Going on with a download only if the file on the site is still the same."""

import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

from yt_dlp.networking import Request, Response

from vc_common import files
from vc_common.errors import InputError
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
        self._folder = path.parent
        self._begun = False

    def ask(self, request: Request) -> None:
        """Make the request for the rest of a file conditional; for the whole, if it cannot be."""
        if request.url != self._url or _start(request) == 0:
            return
        known = self._read()
        condition = known.get("etag") or known.get("modified")
        if condition:
            request.headers["If-Range"] = condition
        elif not self._begun:
            # Nobody could tell whether the part of an earlier run is of the same file.
            del request.headers["Range"]

    def answered(self, source: str, request: Request, response: Response) -> None:
        """Keep what a whole answer says; raises the failure when a part is of another version."""
        if request.url != self._url:
            return
        self._begun = True
        said = _said(response)
        if response.status != HTTPStatus.PARTIAL_CONTENT or _start(request) == 0:
            files.write_json(self._kept, said)
        elif self._differs(said):
            scratch.forget(self._folder)
            raise failure(Reason.NETWORK, source, "has changed on its site in mid-download")

    def _differs(self, said: dict[str, Any]) -> bool:
        """Whether anything that both answers say is different."""
        known = self._read()
        return any(known.get(key) and said[key] and known[key] != said[key] for key in said)

    def _read(self) -> dict[str, Any]:
        try:
            known: dict[str, Any] = files.read_json(self._kept)
        except InputError:
            return {}
        return known


def keep_only(folder: Path, choice: dict[str, Any]) -> None:
    """Forget what has arrived of another recording or format than the ``choice``.

    Sites do not offer the same formats each time, and the end of one does not fit another's start.
    """
    kept = folder / f"{scratch.ORIGINAL}.choice.json"
    try:
        known = files.read_json(kept)
    except InputError:
        known = None
    if known != choice:
        scratch.forget(folder)
        files.write_json(kept, choice)


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
