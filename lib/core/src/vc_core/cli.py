"""The one shape of every stage's command: options, exit codes, record, failure."""

import argparse
import importlib.metadata
import inspect
import signal
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

from vc_core import errors, log, records
from vc_core.options import Parser

# What a command does; it takes its arguments by name, and its options as their typed model.
Work = Callable[..., Mapping[str, Any] | None]

EXIT_CODES = (
    "exit codes: 0 done, 1 a bug or a failed tool, 2 usage, "
    "3 input that cannot be used, 75 try again later"
)


class _Version(argparse.Action):
    """``--version``, read from the package's metadata only when asked for: it is slow to find."""

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(
            option_strings, argparse.SUPPRESS, nargs=0, help="show the version and exit"
        )

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        print(f"{parser.prog} {importlib.metadata.version(parser.prog)}")
        parser.exit()


# The options of every command that say how to talk, not what to do.
COMMON = ("log_level", "log_format", "quiet", "record_failure")


def parser(prog: str, doc: str | None) -> Parser:
    """A parser with the options that every stage has.

    ``prog`` is also the name of the distribution that carries the command.
    """
    made = Parser(
        prog=prog,
        description=inspect.cleandoc(doc or ""),
        epilog=EXIT_CODES,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    common = made.add_argument_group("common options")
    common.add_argument("--version", action=_Version)
    common.add_argument(
        "--log-level",
        choices=log.LEVELS,
        default=log.default_level(),
        help="how much to say (environment: LOG_LEVEL)",
    )
    common.add_argument(
        "--log-format",
        choices=log.FORMATS,
        default=log.default_format(),
        help="lines for people, or JSON for log collectors (environment: LOG_FORMAT)",
    )
    common.add_argument("--quiet", action="store_true", help="warnings and errors only")
    common.add_argument(
        "--record-failure",
        action="store_true",
        help="on failure leave OUTPUT.failed.json; the workflow passes a failed source over by it",
    )
    return made


def existing(text: str) -> Path:
    """Argument type: a path that is there; otherwise the command ends with 3, not with usage."""
    path = Path(text)
    if not path.exists():
        raise errors.MissingInputError(f"{text}: no such file or folder; check the path")
    return path


def run(made: Parser, work: Work, argv: list[str] | None = None) -> int:
    """Parse, do the work, leave a record beside the argument ``output``; returns the exit code.

    ``work`` takes every argument by its name, and returns the counts and figures worth keeping. An
    error that carries an exit code becomes one line on stderr; anything else is a bug and keeps
    its traceback.
    """
    logger = log.get(made.prog.removeprefix("vc-"))
    log.configure()
    arguments = sys.argv[1:] if argv is None else argv
    previous = signal.signal(signal.SIGTERM, _terminate)
    output = _output_of(arguments)
    try:
        given = made.named(arguments)
        how = {name: given.pop(name) for name in COMMON}
        output = given.get("output")
        log.configure("WARNING" if how["quiet"] else how["log_level"], how["log_format"])
        with records.recorded(made.prog, given, output) as record:
            record.update(work(**given) or {})
        return errors.OK
    except errors.StageError as error:
        logger.error("%s", error)
        return _failed(made.prog, arguments, output, error.exit_code, str(error), error.details)
    except OSError as error:
        # A full disk, a folder without write permission: the system's own words say it best.
        logger.error("%s", error)
        logger.debug("where it happened", exc_info=True)
        return _failed(made.prog, arguments, output, errors.FAILED, str(error))
    except KeyboardInterrupt:
        logger.error("stopped by a signal; nothing half-written is left")
        return errors.TERMINATED
    except Exception as error:
        logger.exception("a bug: %s", error)
        return _failed(made.prog, arguments, output, errors.FAILED, f"a bug: {error!r}")
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(signum: int, frame: FrameType | None) -> None:
    """Let SIGTERM unwind like Ctrl-C, so that temporary files go."""
    raise KeyboardInterrupt


def _output_of(arguments: list[str]) -> Path | None:
    """The output named on a command line that did not parse, for the failure record."""
    for flag, value in pairwise(arguments):
        if flag in ("-o", "--output"):
            return Path(value)
    return None


def _failed(
    prog: str,
    arguments: list[str],
    output: Path | None,
    code: int,
    message: str,
    details: Mapping[str, Any] | None = None,
) -> int:
    if output is not None and str(output) != "-" and "--record-failure" in arguments:
        records.write_failure(prog, output, code, message, details)
    return code
