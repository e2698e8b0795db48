"""Who speaks when as RTTM, the format of NIST's evaluations, for other tools to read."""

import re
from collections.abc import Sequence
from pathlib import Path

from vc_core import files
from vc_core.manifests import Segment


def write(path: Path, rows: Sequence[Segment], recording: str) -> None:
    """Write the turns of ``rows``: one line each, neighbouring rows of one speaker as one turn.

    RTTM knows no target: the speaker is called ``target``, the others ``speaker-NUMBER``. Rows
    whose speaker is not certain, and overlaps, whose speakers are not known, are left out.
    """
    name = re.sub(r"\s+", "_", recording)
    lines = [
        f"SPEAKER {name} 1 {start:.3f} {end - start:.3f} <NA> <NA> {speaker} <NA> <NA>\n"
        for start, end, speaker in turns(rows)
    ]
    with files.atomic(path) as partial:
        partial.write_text("".join(lines), "utf-8")


def turns(rows: Sequence[Segment]) -> list[tuple[float, float, str]]:
    """Start, end and speaker of each turn."""
    out: list[tuple[float, float, str]] = []
    for row in rows:
        if row.label not in ("target", "other") or not row.speaker:
            continue
        speaker = "target" if row.label == "target" else f"speaker-{row.speaker}"
        if out and out[-1][1] == row.start and out[-1][2] == speaker:
            out[-1] = (out[-1][0], row.end, speaker)
        else:
            out.append((row.start, row.end, speaker))
    return out
