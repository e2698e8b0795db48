"""From command line, environment, file and defaults to one checked configuration."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values
from pydantic import ValidationError

from vc_core.options import Environment, marker
from voice_pipeline import faults
from voice_pipeline.compose import WITHIN, compose
from voice_pipeline.config import PipelineConfig
from voice_pipeline.faults import ConfigError
from voice_pipeline.parts import KINDS
from voice_pipeline.section import fields
from voice_pipeline.stages import find_root

# Encoders that come with the project, to tell of in a message.
JUDGES = ("package:resemblyzer", "package:campplus")


def load(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    root: Path | None = None,
) -> PipelineConfig:
    """Read the file, lay environment and then ``overrides`` over it, check the whole.

    ``environment`` defaults to the process's, with ``.env`` of the current folder beneath;
    ``root`` to the checkout that is found from there. Raises ConfigError.
    """
    values = read_file(path) if path else {}
    return resolve(values, overrides, environment, root)


def resolve(
    values: Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    root: Path | None = None,
    within: bool = False,
) -> PipelineConfig:
    """Check ``values`` (of a file) with environment and ``overrides`` laid over them.

    ``within`` a job of another run, which has checked them, a family of speaking models may be
    unknown, because it is not installed where the job runs.
    """
    model = composed(root)
    merged = merge(merge(values, from_environment(model, values, environment)), overrides or {})
    if within:
        merged = _without_unknown_families(model, merged)
    try:
        made = model.model_validate(merged, context={WITHIN: within})
    except ValidationError as error:
        raise ConfigError(faults.explain(error, model)) from None
    if not within:
        _check_judge(made)
        _check_commands(made)
    return made


def _check_judge(config: PipelineConfig) -> None:
    """Refuse a judge that is a party: what a voice is chosen by flatters it.

    Raises ConfigError.
    """
    judge, party = "models.judge_encoder", "models.speaker_encoder"
    name = config.at(judge)
    if name == config.at(party):
        other = next(x for x in JUDGES if x != name)
        raise ConfigError(
            f"config: {judge} and {party} are both {name!r}: what clips and checkpoint are chosen "
            f"by must not judge the voice; name another as {judge}, such as {other}"
        )


def _check_commands(config: PipelineConfig) -> None:
    """Hold what every command will be told against its options as a whole.

    They, and a family of speaking models, may know better than each of them alone. Raises
    ConfigError.
    """
    for stage in config.parts.options:
        for name, voice in config.voices.items():
            for told in config.told(stage, name, voice.sources[0].id):
                try:
                    told.model.model_validate(told.values)
                except ValidationError as error:
                    said = faults.explain(error, type(config), [stage], told.keys)
                    raise ConfigError(said) from None


def composed(root: Path | None = None) -> type[PipelineConfig]:
    """The model of the configuration; raises ConfigError where the checkout cannot be used."""
    try:
        return compose(root or find_root())
    except ValueError as error:
        raise ConfigError(str(error)) from None


def variables(model: type[PipelineConfig]) -> dict[str, str]:
    """Environment variable to the key that it sets; ``*`` stands for every voice."""
    found = {key: marker(field, Environment) for key, field in fields(model)}
    return {one.variable: key for key, one in found.items() if one}


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
    model: type[PipelineConfig],
    values: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What the environment sets, as a nested mapping."""
    if environment is None:
        environment = environment_and_dotenv(os.environ)
    laid: dict[str, Any] = {}
    for variable, key in variables(model).items():
        value = environment.get(variable, "")
        if not value:
            continue
        voices = values.get("voices")
        names = list(voices) if isinstance(voices, dict) else []
        for place in [key.replace("*", str(n)) for n in names] if "*" in key else [key]:
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


def _without_unknown_families(
    model: type[PipelineConfig], values: Mapping[str, Any]
) -> dict[str, Any]:
    """``values`` without the options of families of speaking models that are not known here."""
    kept = dict(values)
    known = {family.name for family in model.parts.families}
    for kind in KINDS:
        part = kept.get(kind.section)
        if isinstance(part, Mapping):
            kept[kind.section] = {
                name: value
                for name, value in part.items()
                if name in known or not isinstance(value, Mapping)
            }
    return kept
