"""The same recording given twice, found by what was downloaded."""

from collections.abc import Iterable
from pathlib import Path

from vc_core import files, provenance
from vc_core.errors import InputError
from vc_core.provenance import Provenance


def same(folder: Path, sources: Iterable[str]) -> dict[str, str]:
    """Sources of a voice that are the same recording as an earlier one: the later to the earlier.

    ``folder`` is the voice's in the work folder. What has not been downloaded is passed over.
    """
    return provenance.twins([(source, _told(folder / source)) for source in sources])


def _told(folder: Path) -> Provenance:
    try:
        told = files.read_json(folder / "source.json")
    except (InputError, OSError):
        told = {}
    return provenance.read(told if isinstance(told, dict) else {})
