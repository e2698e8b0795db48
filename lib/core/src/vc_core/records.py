"""The record that a stage leaves beside its output, and the one it leaves when it fails."""

import contextlib
import importlib.metadata
import platform
import re
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vc_core import files, urls
from vc_core.options import Ambient, Options, marker


def record_path(output: Path) -> Path:
    """Where the record of ``output`` lies: ``vocals.flac`` -> ``vocals.flac.run.json``."""
    return output.with_name(output.name + ".run.json")


def failure_path(output: Path) -> Path:
    """Where the failure of ``output`` is told: ``vocals.flac`` -> ``vocals.flac.failed.json``."""
    return output.with_name(output.name + ".failed.json")


@contextlib.contextmanager
def recorded(prog: str, given: Mapping[str, Any], output: Path | None) -> Iterator[dict[str, Any]]:
    """Time the block and write its record when it succeeds; yields the dict of its figures.

    ``given`` are the command's arguments and the models of its options. Of the figures
    ``device`` is told by itself; of the distributions in ``packages``, found by an entry point and
    not required by the command's own, the versions are told, too.
    """
    figures: dict[str, Any] = {}
    started, clock, cpu = time.time(), time.perf_counter(), time.process_time()
    yield figures
    if output is None or str(output) == "-":
        return
    # Until it succeeds, why the attempt before failed is still to be read.
    failure_path(output).unlink(missing_ok=True)
    files.write_json(
        record_path(output),
        {
            "stage": prog.removeprefix("vc-"),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started)),
            "seconds": round(time.perf_counter() - clock, 3),
            "cpu_seconds": round(time.process_time() - cpu, 3),
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "device": figures.pop("device", "cpu"),
            "parameters": parameters(given),
            "versions": versions(prog, *figures.pop("packages", ())),
            "figures": figures,
        },
    )


def parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """A command's arguments and options by name, in alphabetical order.

    Without lists, which are mostly inputs, and without what travels by the environment, which may
    be secret.
    """
    flat: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Options):
            fields = type(value).model_fields
            flat |= {x: getattr(value, x) for x in fields if marker(fields[x], Ambient) is None}
        else:
            flat[name] = value
    return {
        name: _told(value) for name, value in sorted(flat.items()) if not isinstance(value, list)
    }


def _told(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return urls.public(value) if isinstance(value, str) else value


def write_failure(
    prog: str,
    output: Path,
    exit_code: int,
    message: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Say beside ``output`` why it is not there; ``details`` stand beside the message."""
    files.write_json(
        failure_path(output),
        {
            "stage": prog.removeprefix("vc-"),
            "exit_code": exit_code,
            "message": message,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **(details or {}),
        },
    )


def peak_memory_mb() -> float:
    """The most memory this process, or the largest of its children, has held, in MB."""
    kib = max(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
    )
    # macOS counts bytes where Linux counts KiB.
    return kib / 1e6 if sys.platform == "darwin" else kib * 1024 / 1e6


def versions(*distributions: str) -> dict[str, str]:
    """Versions of Python, of some distributions, and of what these directly require.

    Of our own packages the requirements count too, with the extras that were asked for.
    """
    found = {"python": platform.python_version()}
    pending: list[tuple[str, set[str]]] = [(name, set()) for name in distributions]
    while pending:
        name, extras = pending.pop()
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if name.startswith("vc-"):
            pending += _required(name, extras)
    return dict(sorted(found.items()))


def _required(distribution: str, extras: set[str]) -> list[tuple[str, set[str]]]:
    """What a distribution requires, with ``extras`` on: names and the extras asked of them."""
    required = []
    for line in importlib.metadata.requires(distribution) or []:
        wanted = re.search(r"""extra == ['"]([^'"]+)""", line)
        named = re.match(r"([A-Za-z0-9._-]+)(?:\[([^]]*)\])?", line)
        if named and (wanted is None or wanted[1] in extras):
            asked = {extra.strip() for extra in (named[2] or "").split(",") if extra.strip()}
            required.append((named[1], asked))
    return required
