"""The rows of a run: what is logged of each step, by name."""

import math
from typing import Any

Row = dict[str, Any]


def finite(row: Row) -> Row:
    """The row with None for what is not a number: JSON has no name for that."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
