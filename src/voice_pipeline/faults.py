"""What is wrong with a configuration, said in one line: the key, the value and the mend."""

import difflib
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError

from vc_core.options import Home, marker
from voice_pipeline.config import PipelineConfig
from voice_pipeline.section import fields, model_in

ENGLISH = {
    "missing": "is missing; it must be given",
    "extra_forbidden": "is not a key of the configuration",
}

# Where keys of earlier versions stand now, as far as the options themselves do not say it.
RENAMED = {"synthesize.tts": "models.family"}


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names key, value and mend."""


def explain(
    error: ValidationError,
    model: type[PipelineConfig],
    within: Sequence[str] = (),
    keys: Mapping[str, str] | None = None,
) -> str:
    """One line: the first fault with key, value and mend, and how many more there are.

    ``within`` is where in the configuration ``model`` the checked part stands; ``keys`` where
    each of its options does, if not there.
    """
    faults = error.errors()
    # An unknown key is often the cause of a missing one, so it is told first.
    faults.sort(key=lambda fault: fault["type"] != "extra_forbidden")
    first = faults[0]
    where = [*within, *(str(part) for part in first["loc"])]
    if keys and first["loc"]:
        where = [*keys[str(first["loc"][0])].split("."), *where[len(within) + 1 :]]
    said = ENGLISH.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    line = f"config: {'.'.join(where)}".rstrip()
    if first["type"] == "extra_forbidden":
        line += _mend(where, model)
    elif first["type"] in ("missing", "value_error"):
        line += f" {said}"
        if where[-1:] == ["consent"]:
            line += ", such as 'Ada Example, written, 2026-01-10'"
    else:
        line += f" is {first['input']!r}: {said}"
    more = len(faults) - 1
    return line + (f" (and {more} more)" if more else "")


def _mend(where: list[str], model: type[PipelineConfig]) -> str:
    """What to write instead of an unknown key."""
    moved = moved_to(where, model)
    if moved:
        return f" has moved; write {' or '.join(moved)}"
    known = _keys_at(where[:-1], model)
    near = difflib.get_close_matches(where[-1], known, n=1)
    mend = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    return f" {ENGLISH['extra_forbidden']}; {mend}"


def moved_to(where: Sequence[str], model: type[PipelineConfig]) -> list[str]:
    """Where an unknown key of a section stands now; [] where nothing is known of it.

    An option of the section's stage may have its home elsewhere, or may have become one of the
    speaking models'.
    """
    if ".".join(where) in RENAMED:
        return [RENAMED[".".join(where)]]
    if len(where) != 2:
        return []
    section, name = where
    parts = model.parts
    stages = [stage for stage in parts.options if parts.section(stage) == section]
    taken = [parts.options[stage] for stage in stages]
    kinds = [kind for kind in map(parts.kind, stages) if kind]
    taken += [kind.of(family) for kind in kinds for family in parts.families]
    for options in taken:
        home = marker(options.model_fields[name], Home) if name in options.model_fields else None
        if home:
            return [home.key]
    named = [key for key, _ in fields(model) if key.rpartition(".")[2] == name and "*" not in key]
    return [key for key in named for kind in kinds if key.startswith(f"{kind.section}.")]


def _keys_at(where: list[str], model: type[PipelineConfig]) -> list[str]:
    """The keys that the model knows at a place such as ``["voices", "ada"]``."""
    found: type[BaseModel] = model
    for part in where:
        # What is no key is the name of a voice or the number of a source.
        known = found.model_fields
        inner = model_in(known[part].annotation) if part in known else None
        found = inner or found
    return list(found.model_fields)
