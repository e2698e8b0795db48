"""Engines that other packages add: how one is found by its name.

A package offers an engine by an entry point in one of the groups below: the entry point's name is
the engine's, its object is called with the keywords that the group's protocol names. In the
configuration an engine is named NAME, or NAME:ARGUMENT where it wants to be told what to load.
"""

import importlib.metadata
from collections.abc import Callable
from typing import Any

from vc_core.errors import InputError

SEPARATORS = "voice_clone.separator"
VADS = "voice_clone.vad"
ENCODERS = "voice_clone.encoder"
TRANSCRIBERS = "voice_clone.transcriber"
TTS = "voice_clone.tts"


def names(group: str) -> list[str]:
    """Names of the engines that installed packages offer in ``group``."""
    return sorted({entry.name for entry in importlib.metadata.entry_points(group=group)})


def find(group: str, name: str) -> tuple[Callable[..., Any], str] | None:
    """What makes the engine ``name`` of ``group``, and the argument after the colon ("" for none).

    None where no installed package offers it: then the name means something to the caller.
    """
    wanted, _, argument = name.partition(":")
    if wanted not in names(group):
        return None
    return entry(group, wanted), argument


def distribution(group: str, name: str) -> str:
    """The distribution that offers ``name`` in ``group``, "" where nothing says it."""
    found = next(iter(importlib.metadata.entry_points(group=group, name=name)), None)
    return found.dist.name if found and found.dist else ""


def entry(group: str, name: str) -> Any:
    """What an installed package offers in ``group`` under a name that is one of ``names``.

    Raises InputError naming the package where it cannot be loaded.
    """
    found = next(iter(importlib.metadata.entry_points(group=group, name=name)))
    try:
        return found.load()
    except Exception as error:  # whatever a strange package does when it is imported
        dist = found.dist.name if found.dist else "a package"
        raise InputError(
            f"{dist}: its entry point {group}: {name} = {found.value} cannot be loaded "
            f"({error!r}); mend or uninstall it"
        ) from error
