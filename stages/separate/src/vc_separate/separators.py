"""What a separator is, and how one is chosen by name."""

import importlib.resources
from pathlib import Path
from typing import Protocol

from vc_core import devices, engines, models
from vc_core.audio import Samples
from vc_core.errors import InputError

SPLEETER = "package:spleeter"
NONE = "none"


class Separator(Protocol):
    """Keeps the voice of a piece of stereo audio.

    ``rate`` is the sample rate in Hz it wants, None for any; ``device`` is where it computes.
    One that has an attribute ``block`` is given pieces of at most so many seconds, else 60.

    Another package offers one by an entry point in ``engines.SEPARATORS``: a class that is called
    with ``argument`` and ``device``.
    """

    rate: int | None
    device: str

    def separate(self, samples: Samples) -> Samples:
        """The voice in ``samples`` [frames, 2] at ``rate``, in the same shape."""
        ...


class PassThrough:
    """Keeps everything: for recordings that hold nothing but voices."""

    rate: int | None = None
    device = "cpu"

    def separate(self, samples: Samples) -> Samples:
        """``samples`` as they are."""
        return samples


def load(name: str, device: str, precision: str = "auto") -> Separator:
    """The separator called ``name``; raises InputError when there is none of that name.

    ``precision`` (auto, fp32 or fp16) is for demucs and Spleeter; others choose their own.
    """
    offered = engines.find(engines.SEPARATORS, name)
    if offered is not None:
        make, argument = offered
        made: Separator = make(argument=argument, device=device)
        return made
    if name == NONE:
        return PassThrough()
    if name == SPLEETER:
        from vc_separate.spleeter import SpleeterSeparator

        folder, chosen = Path(models.resolve(SPLEETER)), devices.choose(device)
        return SpleeterSeparator(folder, chosen, _half(precision, chosen))
    if name.startswith(models.PREFIX):
        raise InputError(f"model {name!r}: not a separator; the packaged one is {SPLEETER}")
    from vc_separate.demucs import DemucsSeparator

    repo, model = _demucs_model(name)
    chosen = devices.choose(device)
    return DemucsSeparator(model, repo, chosen, _half(precision, chosen))


def _half(precision: str, device: str) -> bool:
    """Whether to compute in fp16; raises InputError on a CPU, where it is slower and worse."""
    if precision == "fp16" and device == "cpu":
        raise InputError("precision 'fp16': wants a GPU; use --precision auto or fp32")
    return device != "cpu" and precision != "fp32"


def _demucs_model(name: str) -> tuple[Path | None, str]:
    """The local repository (None: the public one) and the model's name in it."""
    path = Path(name).expanduser()
    if path.is_dir():
        held = _held_by(path)
        if len(held) != 1:
            there = ", ".join(sorted(held)) or "no .th and no .yaml file"
            raise InputError(f"model {name!r}: the folder holds {there}; give {name}/NAME of one")
        return path, held.pop()
    if path.parent.is_dir() and path.name in _held_by(path.parent):
        return path.parent, path.name
    public = _public_names()
    if name in public or name.startswith("hf://"):
        return None, name
    known = [*public, *engines.names(engines.SEPARATORS)]
    raise InputError(
        f"model {name!r}: no such folder and no known name; "
        f"give a folder with a demucs .th file, {SPLEETER}, {NONE} or one of: {', '.join(known)}"
    )


def _held_by(folder: Path) -> set[str]:
    """Names of the models in a demucs repository: bags (.yaml) if any, else single ones (.th).

    A checksum may follow a single model's name after a dash, as demucs writes them.
    """
    bags = {path.stem for path in folder.glob("*.yaml")}
    return bags or {path.stem.rsplit("-", 1)[0] for path in folder.glob("*.th")}


def _public_names() -> list[str]:
    """Names of the models that demucs itself knows where to fetch."""
    remote = importlib.resources.files("demucs") / "remote"
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in remote.iterdir()
        if entry.name.endswith(".yaml")
    )
