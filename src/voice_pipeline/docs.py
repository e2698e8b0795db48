"""Files that are generated from the configuration's models, so that they cannot drift."""

import json
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from vc_core.options import Home, marker
from voice_pipeline import access, settings
from voice_pipeline.compose import compose
from voice_pipeline.config import PipelineConfig
from voice_pipeline.parts import KINDS, Parts
from voice_pipeline.section import model_in
from voice_pipeline.stages import find_root

SCHEMA = Path("config.schema.json")
PAGE = Path("docs/configuration.md")

HEAD = """\
# Configuration

Generated from the options of the stages by `make docs`; do not edit.

Values are taken, in this order, from the command line (`--config train='{max_steps: 50}'`), the
environment (`.env` is read too), `config.yaml`, and the defaults below. A key that is not listed
here is an error.

## Environment

| variable | key |
|---|---|
"""

TAIL = """
The `DOWNLOAD_` variables say how recordings are got at. They reach the downloads by environment
alone, also on a cluster and in containers: none of them stands on a command line, in a log or in
a record, and a change of one fetches nothing again. A proxy with a password is refused in the
file: give it as `DOWNLOAD_PROXY`. `DOWNLOAD_ALLOW_HOSTS` is separated by commas,
`DOWNLOAD_FOLDERS` by colons.

`LOG_LEVEL` (DEBUG, INFO, WARNING, ERROR) and `LOG_FORMAT` (text, json) set how the stages talk,
`VOICE_CLONE_CACHE` where joined model weights are kept, `HF_TOKEN` is the Hugging Face token; it
is read from the environment only and never written anywhere.
"""


SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def schema() -> str:
    """The JSON schema that editors complete config.yaml by."""
    model = _model()
    made = model.model_json_schema()
    made["title"] = "Voice Cloning Pipeline"
    known = made["$defs"]
    # A source may also be written as its URL alone.
    sources = known["Voice"]["properties"]["sources"]
    sources["items"] = {"anyOf": [{"type": "string"}, sources["items"]]}
    known["Source"]["required"].remove("id")
    for section in made["properties"].values():
        if "$ref" in section:
            del section["default"]  # of its keys, which have it themselves
    for kind in KINDS:
        keys = known[kind.section.capitalize()]["properties"]
        for name, said in _family_defaults(model.parts, kind.section).items():
            keys[name]["description"] += f" Default: {said}."
            del keys[name]["default"]
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """docs/configuration.md: every key with default, limits and description."""
    model = _model()
    places = settings.variables(model) | access.variables(model)
    rows = [f"| `{variable}` | `{key}` |" for variable, key in places.items()]
    head = HEAD + "\n".join(rows) + "\n" + TAIL
    return "\n".join([head, _table("Top level", model), *_subtables("", model, model.parts)])


def generated() -> dict[Path, str]:
    """Every generated file with its content."""
    return {SCHEMA: schema(), PAGE: page()}


def write() -> None:
    """Write the generated files beneath the current folder."""
    for path, content in generated().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, "utf-8")


def _model() -> type[PipelineConfig]:
    # What else is installed here must not stand in files that everybody gets.
    return compose(find_root(), installed=False)


def _subtables(within: str, model: type[BaseModel], parts: Parts) -> Iterator[str]:
    """A table for every section in ``model``, each followed by those in it."""
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is None:
            continue
        kinds: dict[Any, str] = {dict: ".NAME", list: "[]"}
        several = kinds.get(typing.get_origin(field.annotation), "")
        key = f"{within}{name}"
        yield _table(key + several, inner, _family_defaults(parts, key), _elsewhere(parts, key))
        yield from _subtables(f"{key}{several}.", inner, parts)


def _table(
    title: str, model: type[BaseModel], defaults: dict[str, str] | None = None, note: str = ""
) -> str:
    rows = [f"\n## {title}\n", (model.__doc__ or "").strip() + "\n"]
    rows += ["| key | default | limits | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        meaning = field.description or (inner.__doc__ if inner else "") or ""
        default = (defaults or {}).get(name) or _default(field)
        rows.append(f"| `{name}` | {default} | {_limits(field)} | {meaning.strip()} |")
    return "\n".join([*rows, *([f"\n{note}"] if note else [])])


def _family_defaults(parts: Parts, section: str) -> dict[str, str]:
    """What is said as default of the options of every speaking model: one, or one a family."""
    found: dict[str, str] = {}
    for kind in KINDS:
        for name in kind.common.model_fields if kind.section == section else ():
            defaults = {x.name: _default(kind.of(x).model_fields[name]) for x in parts.families}
            named = ", ".join(f"{family}: {default}" for family, default in defaults.items())
            same = len(set(defaults.values())) == 1 and len(defaults) > 1
            found[name] = next(iter(defaults.values())) if same else named
    return found


def _elsewhere(parts: Parts, section: str) -> str:
    """Which keys of other sections the stage of a section takes, too."""
    stages = [stage for stage in parts.options if parts.section(stage) == _starred(section)]
    said = []
    for stage in stages:
        homes = [marker(field, Home) for field in parts.options[stage].model_fields.values()]
        keys = [home.key for home in homes if home]
        kind = parts.kind(stage)
        keys += [kind.section] if kind and kind.section != section else []
        said += [f"`vc-{stage}` takes {_listed(keys)}, too."] if keys else []
    return " ".join(said)


def _starred(key: str) -> str:
    return key.replace(".NAME", ".*").replace("[]", ".*")


def _listed(keys: list[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) or value in (None, [], (), ""):
        return ""
    return f"`{json.dumps(str(value) if isinstance(value, Path) else value)}`"


def _limits(field: FieldInfo) -> str:
    """Choices and bounds, also those of a type within a choice of types."""
    return ", ".join(_bounds(field.annotation, field.metadata))


def _bounds(annotation: Any, metadata: Any) -> Iterator[str]:
    for limit in metadata:
        if isinstance(limit, FieldInfo):
            yield from _bounds(None, limit.metadata)
        for key, sign in SIGNS.items():
            if hasattr(limit, key):
                yield f"{sign} {getattr(limit, key):g}"
    if typing.get_origin(annotation) is Literal:
        yield " ".join(f"`{choice}`" for choice in typing.get_args(annotation))
        return
    for inner in typing.get_args(annotation):
        yield from _bounds(inner, getattr(inner, "__metadata__", ()))


if __name__ == "__main__":
    write()
