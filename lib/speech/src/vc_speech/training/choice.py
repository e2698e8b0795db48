"""Which checkpoint becomes the voice, and when no better one is to be expected."""

from collections.abc import Sequence

from vc_core import log
from vc_speech.training.rows import Row

logger = log.get("train")

# How much worse than the best of the run a checkpoint may be understood, and stop by itself.
WER_SLACK = 0.05
STOP_SLACK = 0.10


def eligible(validations: Sequence[Row]) -> list[Row]:
    """The rows that may be chosen, now or later.

    Where the voice was listened to: those whose words are understood nearly as well as the best
    one's; the base itself is none of them. Elsewhere the one with the lowest validation loss.
    """
    scored = [row for row in validations if "similarity" in row and row["step"] > 0]
    if not scored:
        return sorted(validations, key=lambda row: row["val_loss"])[:1]
    understood = min(row["wer"] for row in scored) + WER_SLACK
    return [row for row in scored if row["wer"] <= understood]


def chosen(validations: Sequence[Row]) -> Row | None:
    """The row to take, None without any.

    Of the eligible the most similar that ends by itself nearly as often as the best of them; or
    the lowest loss.
    """
    rows = eligible(validations)
    ends = max((row.get("stop_rate", 0.0) for row in rows), default=0.0) - STOP_SLACK
    return max(
        (row for row in rows if row.get("stop_rate", 0.0) >= ends),
        key=lambda row: (row.get("similarity", 0.0), -row["val_loss"]),
        default=None,
    )


def stale(validations: Sequence[Row]) -> int:
    """How many validations in a row brought neither a lower loss nor a new choice."""
    last = 0
    for index in range(1, len(validations)):
        row, before = validations[index], validations[:index]
        lower = row["val_loss"] < min(past["val_loss"] for past in before)
        if lower or ("similarity" in row and chosen(validations[: index + 1]) is row):
            last = index
    return max(0, len(validations) - 1 - last)


def worn(patience: int, rows: Sequence[Row]) -> bool:
    """Whether validations, the last one just now, have brought nothing better for too long.

    ``rows`` are all rows of the run, ``patience`` the validations to wait for; 0: for ever.
    """
    if not patience or not rows or "val_loss" not in rows[-1]:
        return False
    if stale([row for row in rows if "val_loss" in row]) < patience:
        return False
    logger.info(
        "step %d: nothing better in %d validations; stopping early", rows[-1]["step"], patience
    )
    return True
