"""The order in which a run's stages are shown."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vc_core import files, log
from vc_core.errors import InputError
from vc_core.failures import Failure


class Order:
    """The places of stages by name; those without one come last, as they ran."""

    def __init__(self, places: Mapping[str, float]) -> None:
        self._places = dict(places)

    def records(self, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """The run records of stages in order; of one stage by their outputs."""
        return sorted(rows, key=self._of_record)

    def failures(self, found: Iterable[Failure]) -> list[Failure]:
        """Failures in order: the earliest stage's explains the later ones."""
        return sorted(found, key=lambda failure: (self._place(failure.stage), failure.time))

    def _of_record(self, row: Mapping[str, Any]) -> tuple[float, str, str]:
        place = self._place(str(row.get("stage")))
        started = str(row.get("started", "")) if place == math.inf else ""
        return place, started, str(row["output"])

    def _place(self, stage: str) -> float:
        return self._places.get(stage, math.inf)


def read(path: Path | None) -> Order:
    """The order that the workflow's ``stages.json`` tells: rows of ``name`` and ``order``.

    Without the file, or with one that cannot be used, no stage has a place.
    """
    if path is None or not path.is_file():
        return Order({})
    try:
        return Order({str(row["name"]): float(row["order"]) for row in files.read_json(path)})
    except (InputError, KeyError, TypeError, ValueError) as error:
        log.get("report").warning("%s: cannot be used (%r); stages stand as they ran", path, error)
        return Order({})
