"""Files that are generated from the configuration's models, so that they cannot drift."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from voice_pipeline.access import VARIABLES
from voice_pipeline.config import PipelineConfig, Slice, Voice
from voice_pipeline.settings import ENVIRONMENT, model_in
from voice_pipeline.sources import Source

SCHEMA = Path("config.schema.json")
PAGE = Path("docs/configuration.md")

HEAD = """\
# Configuration

Generated from `voice_pipeline.config` by `make docs`; do not edit.

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


def schema() -> str:
    """The JSON schema that editors complete config.yaml by."""
    made = PipelineConfig.model_json_schema()
    made["title"] = "Voice Cloning Pipeline"
    # A source may also be written as its URL alone.
    sources = made["$defs"]["Voice"]["properties"]["sources"]
    sources["items"] = {"anyOf": [{"type": "string"}, sources["items"]]}
    made["$defs"]["Source"]["required"].remove("id")
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """docs/configuration.md: every key with default, limits and description."""
    variables = {**ENVIRONMENT, **{name: f"download.{key}" for name, key in VARIABLES.items()}}
    rows = [f"| `{name}` | `{place}` |" for name, place in variables.items()]
    parts = [HEAD + "\n".join(rows) + "\n" + TAIL]
    parts.append(_table("Top level", PipelineConfig))
    parts.append(_table("voices.NAME", Voice))
    parts.append(_table("voices.NAME.sources[]", Source))
    parts += _subtables("voices.NAME", Voice)
    parts.append(_table("voices.NAME.reference.slices[]", Slice))
    parts += _subtables("", PipelineConfig)
    return "\n".join(parts)


def generated() -> dict[Path, str]:
    """Every generated file with its content."""
    return {SCHEMA: schema(), PAGE: page()}


def write() -> None:
    """Write the generated files beneath the current folder."""
    for path, content in generated().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, "utf-8")


def _subtables(prefix: str, model: type[BaseModel]) -> list[str]:
    parts = []
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is not None and inner not in (Voice, Source):
            parts.append(_table(f"{prefix}.{name}".strip("."), inner))
    return parts


def _table(title: str, model: type[BaseModel]) -> str:
    rows = [f"\n## {title}\n", (model.__doc__ or "").strip() + "\n"]
    rows += ["| key | default | limits | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        meaning = field.description or (inner.__doc__ if inner else "") or ""
        rows.append(f"| `{name}` | {_default(field)} | {_limits(field)} | {meaning.strip()} |")
    return "\n".join(rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel) or value in (None, [], ""):
        return ""
    return f"`{json.dumps(str(value) if isinstance(value, Path) else value)}`"


def _limits(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(limit, key):g}"
        for limit in field.metadata
        for key, sign in signs.items()
        if hasattr(limit, key)
    ]
    return ", ".join(found)


if __name__ == "__main__":
    write()
