"""Logging and progress on stderr, so that stdout stays free for data."""

import json
import logging
import os
import sys
from collections.abc import Iterable
from typing import Any

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
FORMATS = ("text", "json")


class JsonFormatter(logging.Formatter):
    """One JSON object a line, as log collectors on clusters read them."""

    def format(self, record: logging.LogRecord) -> str:
        row = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            row["traceback"] = self.formatException(record.exc_info)
        return json.dumps(row, ensure_ascii=False)


def default_level() -> str:
    """``LOG_LEVEL`` from the environment, or INFO."""
    level = os.environ.get("LOG_LEVEL", "INFO").upper()
    return level if level in LEVELS else "INFO"


def default_format() -> str:
    """``LOG_FORMAT`` from the environment, or text."""
    form = os.environ.get("LOG_FORMAT", "text").lower()
    return form if form in FORMATS else "text"


def configure(level: str | None = None, form: str | None = None) -> None:
    """Send the root logger to stderr in the wanted form; libraries stay at WARNING or above."""
    handler = logging.StreamHandler(sys.stderr)
    if (form or default_format()) == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    wanted = level or default_level()
    root.setLevel(logging.DEBUG if wanted == "DEBUG" else logging.WARNING)
    # Only our own loggers speak below WARNING unless debugging: engines chatter.
    logging.getLogger("vc").setLevel(wanted)


def get(stage: str) -> logging.Logger:
    """The logger of one stage, a child of ``vc``."""
    return logging.getLogger(f"vc.{stage}")


def progress(items: Iterable[Any] | None = None, **options: Any) -> Any:
    """A tqdm bar on stderr, silent where stderr is no terminal or ``--quiet`` was given."""
    from tqdm import tqdm

    quiet = not sys.stderr.isatty() or not logging.getLogger("vc").isEnabledFor(logging.INFO)
    return tqdm(items, disable=quiet, file=sys.stderr, dynamic_ncols=True, **options)
