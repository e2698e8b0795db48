"""Where a recording comes from, and which sources are the same one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vc_core import urls

WHOLE = (0.0, math.inf)


@dataclass(frozen=True)
class Provenance:
    """What ``source.json`` says of a recording; "" where it says nothing.

    ``url`` is without secrets (``urls.public``). ``section`` is what was taken of the recording,
    start and end in seconds. ``checksums`` name its content: that of the WAV, and that of the
    original with the section taken of it.
    """

    title: str
    uploader: str
    date: str
    url: str
    licence: str
    section: tuple[float, float]
    checksums: Mapping[str, tuple[float, float]]

    @property
    def partial(self) -> bool:
        """Whether only a section of the recording was taken."""
        return self.section != WHOLE


def read(facts: Mapping[str, Any]) -> Provenance:
    """Read what the download wrote down, of whatever shape it is: its words are a site's."""
    section = _section(facts.get("section"))
    date = str(facts.get("upload_date") or "")
    if len(date) == 8 and date.isdigit():
        date = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    named = {f"audio {_sha256(facts, 'audio')}": WHOLE}
    named[f"original {_sha256(facts, 'original')}"] = section
    return Provenance(
        title=str(facts.get("title") or ""),
        uploader=str(facts.get("uploader") or ""),
        date=date,
        url=urls.public(str(facts.get("canonical_url") or facts.get("url") or "")),
        licence=str(facts.get("licence") or ""),
        section=section,
        checksums={name: span for name, span in named.items() if not name.endswith(" ")},
    )


def twins(sources: Sequence[tuple[str, Provenance]]) -> dict[str, str]:
    """Of sources given as (id, provenance): those that repeat an earlier one, later to earlier.

    They are the same recording where their WAVs are, or where their originals are and the
    sections taken of these overlap.
    """
    earlier: dict[str, list[tuple[str, tuple[float, float]]]] = {}
    found: dict[str, str] = {}
    for source, told in sources:
        for checksum, (start, end) in told.checksums.items():
            before = earlier.setdefault(checksum, [])
            twin = next((x for x, (first, last) in before if first < end and start < last), None)
            if twin is None:
                before.append((source, (start, end)))
            else:
                found.setdefault(source, twin)
    return found


def _section(given: Any) -> tuple[float, float]:
    if not isinstance(given, Mapping):
        return WHOLE
    start, end = given.get("start"), given.get("end")
    return (
        float(start) if isinstance(start, int | float) else WHOLE[0],
        float(end) if isinstance(end, int | float) else WHOLE[1],
    )


def _sha256(facts: Mapping[str, Any], part: str) -> str:
    told = facts.get(part)
    return str(told.get("sha256") or "") if isinstance(told, Mapping) else ""
