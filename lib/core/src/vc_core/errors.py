"""Failures a user can act on. Each carries the exit code its command ends with."""

from typing import Any

OK = 0
FAILED = 1
USAGE = 2
BAD_INPUT = 3
TRY_AGAIN = 75
TERMINATED = 143


class StageError(Exception):
    """A failure with a message fit for one line: what, where, how to mend it.

    ``details`` are facts for programs, such as a reason out of an enumeration; they go into the
    failure's record as they are.
    """

    exit_code = FAILED

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class InputError(StageError, ValueError):
    """The input cannot be used, however often it is tried."""

    exit_code = BAD_INPUT


class MissingInputError(StageError):
    """An input is not there.

    Not a ``ValueError``, because argparse turns those into usage errors.
    """

    exit_code = BAD_INPUT


class ToolError(StageError):
    """An external program failed; the message ends in its own last words."""


class TryAgainError(StageError):
    """Network trouble, a rate limit, a request to stop: a later run may succeed."""

    exit_code = TRY_AGAIN
