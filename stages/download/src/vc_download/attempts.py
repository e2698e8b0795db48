"""Trying again: not at once, and not what cannot be mended by waiting."""

import time
from pathlib import Path

from vc_core import errors, files, log, records
from vc_core.errors import InputError, TryAgainError

logger = log.get("download")

LONGEST = 900.0  # seconds that are waited; who is told to wait longer runs again later


def wait(output: Path, attempt: int, retry_wait: float) -> None:
    """Wait as the ``attempt`` and the site want it, or fail as the one before did.

    The second attempt waits ``retry_wait`` seconds, each further one four times as long, and none
    begins before the site's Retry-After. Snakemake tries everything again; what cannot be mended
    by waiting (exit 3) ends here at once, with the same InputError as before. Raises TryAgainError
    where the site wants more patience than LONGEST.
    """
    record = records.failure_path(output)
    if attempt == 1:
        # What an earlier run says is no matter of this one.
        record.unlink(missing_ok=True)
    if attempt == 1 or not record.is_file():
        return
    last = files.read_json(record)
    details = {key: last[key] for key in ("reason", "mend", "retry_at") if key in last}
    if last["exit_code"] == errors.BAD_INPUT:
        raise InputError(last["message"], **details)
    asked = last.get("retry_at", 0.0) - time.time()
    if asked > LONGEST:
        raise TryAgainError(last["message"], **details)
    seconds = min(LONGEST, max(asked, retry_wait * 4 ** (attempt - 2)))
    logger.info("attempt %d begins in %.0f s", attempt, seconds)
    time.sleep(seconds)
