"""From command line, environment, file and defaults to one checked configuration."""

import difflib
import os
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError

from voice_pipeline.config import Access, PipelineConfig

# Environment variable -> where its value goes. Those of a voice's reference go to every voice.
ENVIRONMENT: dict[str, str] = {
    "DEFAULT_OUTPUT_DIR": "output_dir",
    "DEFAULT_BASE_TTS_MODEL": "train.base_model",
    "DEFAULT_MAX_STEPS": "train.max_steps",
    "DEFAULT_BATCH_SIZE": "train.batch_size",
    "DEFAULT_GRADIENT_ACCUMULATION": "train.gradient_accumulation",
    "DEFAULT_LEARNING_RATE": "train.learning_rate",
    "DEFAULT_REF_START": "voices.*.reference.start",
    "DEFAULT_REF_END": "voices.*.reference.end",
    "AUDIO_SAMPLE_RATE": "download.sample_rate",
    "AUDIO_CHANNELS": "download.channels",
    "TTS_SAMPLE_RATE": "curate.sample_rate",
}

ENGLISH = {
    "missing": "is missing; it must be given",
    "extra_forbidden": "is not a key of the configuration",
}


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names key, value and mend."""


def load(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> PipelineConfig:
    """Read the file, lay environment and then ``overrides`` over it, check the whole.

    ``environment`` defaults to the process's, with ``.env`` of the current folder beneath.
    Raises ConfigError.
    """
    values = read_file(path) if path else {}
    return resolve(values, overrides, environment)


def resolve(
    values: Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> PipelineConfig:
    """Check ``values`` (of a file) with environment and ``overrides`` laid over them."""
    merged = merge(merge(values, from_environment(values, environment)), overrides or {})
    try:
        return PipelineConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(explain(error)) from None


def access_in(values: Mapping[str, Any]) -> Access:
    """How to get at recordings, of ``values`` (of a file) whose rest need not be complete."""
    given = values.get("download")
    known = given if isinstance(given, Mapping) else {}
    try:
        return Access(**{key: known[key] for key in Access.model_fields if key in known})
    except ValidationError as error:
        raise ConfigError(explain(error, ["download"])) from None


def read_file(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; raises ConfigError with the line where it is not YAML."""
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds no keys; start from the shipped config.yaml")
    return values


def from_environment(
    values: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What the environment sets, as a nested mapping."""
    if environment is None:
        environment = environment_and_dotenv(os.environ)
    laid: dict[str, Any] = {}
    for variable, dotted in ENVIRONMENT.items():
        value = environment.get(variable, "")
        if not value:
            continue
        voices = values.get("voices")
        names = list(voices) if isinstance(voices, dict) else []
        for place in [dotted.replace("*", str(n)) for n in names] if "*" in dotted else [dotted]:
            laid = merge(laid, nested(place, value))
    return laid


def environment_and_dotenv(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` with what ``.env`` of the current folder says beneath it."""
    beneath = {k: v for k, v in dotenv_values(".env").items() if v is not None}
    return {**beneath, **environment}


def nested(dotted: str, value: Any) -> dict[str, Any]:
    """``nested("a.b", 1)`` is ``{"a": {"b": 1}}``."""
    for key in reversed(dotted.split(".")):
        value = {key: value}
    return dict(value)


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` laid on ``under``; mappings merge key by key, everything else is replaced."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def explain(error: ValidationError, within: Sequence[str] = ()) -> str:
    """One line: the first fault with key, value and mend, and how many more there are.

    ``within`` is where in the configuration the checked part stands.
    """
    faults = error.errors()
    # An unknown key is often the cause of a missing one, so it is told first.
    faults.sort(key=lambda fault: fault["type"] != "extra_forbidden")
    first = faults[0]
    where = [*within, *(str(part) for part in first["loc"])]
    said = ENGLISH.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    line = f"config: {'.'.join(where) or 'the file'}"
    if first["type"] == "extra_forbidden":
        line += f" {said}{_did_you_mean(where)}"
    elif first["type"] in ("missing", "value_error"):
        line += f" {said}"
        if where[-1] == "consent":
            line += ", such as 'Ada Example, written, 2026-01-10'"
    else:
        line += f" is {first['input']!r}: {said}"
    more = len(faults) - 1
    return line + (f" (and {more} more)" if more else "")


def _did_you_mean(where: list[str]) -> str:
    known = _keys_at(where[:-1])
    near = difflib.get_close_matches(where[-1], known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(known)}"


def _keys_at(where: list[str]) -> list[str]:
    """The keys that the model knows at a place such as ``["voices", "ada"]``."""
    model: type[BaseModel] = PipelineConfig
    annotation: Any = model
    for part in where:
        fields = model.model_fields
        annotation = fields[part].annotation if part in fields else annotation
        found = model_in(annotation)
        if found is not None:
            model = found
    return list(model.model_fields)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The first pydantic model inside an annotation such as ``dict[str, Voice]``."""
    inside = typing.get_args(annotation)
    if not inside and isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    for inner in inside:
        found = model_in(inner)
        if found is not None:
            return found
    return None
