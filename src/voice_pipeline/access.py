"""How options that are nobody else's business reach the jobs: by environment, never by a command.

They say how to get at things, such as a proxy with its password. They may be secret, and no job is
to be run again because one of them has changed.
"""

import os
import typing
from collections.abc import Collection, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from vc_core.options import Ambient, from_text, marker
from voice_pipeline.config import PipelineConfig
from voice_pipeline.faults import ConfigError, explain
from voice_pipeline.section import fields, model_in
from voice_pipeline.settings import composed, environment_and_dotenv

# What apptainer hands on into a container although it is started with --cleanenv.
INTO_CONTAINERS = "APPTAINERENV_"


def variables(model: type[PipelineConfig]) -> dict[str, str]:
    """Environment variable to the key whose place it takes, such as ``download.proxy``."""
    found = {key: marker(field, Ambient) for key, field in fields(model)}
    return {one.variable: key for key, one in found.items() if one}


def by_hand(overrides: Mapping[str, Any] | None) -> set[str]:
    """The keys of sections that the command line gave."""
    return {
        f"{section}.{name}"
        for section, given in (overrides or {}).items()
        if isinstance(given, Mapping)
        for name in given
    }


def sections_in(values: Mapping[str, Any]) -> dict[str, BaseModel]:
    """The sections with options that travel by environment, of a file that need not be complete.

    What else it says is passed over. Outside of a checkout there are none: commands then read the
    environment as it is. Raises ConfigError.
    """
    try:
        model = composed()
    except FileNotFoundError:
        return {}
    known: dict[str, dict[str, Any]] = {}
    for key in variables(model).values():
        section, _, name = key.partition(".")
        given = values.get(section)
        told = given if isinstance(given, Mapping) else {}
        known.setdefault(section, {}).update({name: told[name]} if name in told else {})
    made = {}
    for section, told in known.items():
        wanted = model_in(model.model_fields[section].annotation)
        assert wanted is not None, f"{section} holds options"
        try:
            made[section] = wanted.model_validate(told)
        except ValidationError as error:
            raise ConfigError(explain(error, model, [section])) from None
    return made


def lay(
    sections: Mapping[str, BaseModel],
    environment: MutableMapping[str, str] = os.environ,
    first: Collection[str] = (),
    elsewhere: bool = False,
) -> None:
    """Put what the sections say into ``environment``, for jobs and containers.

    What the environment or ``.env`` says already goes first, except for the keys in ``first``,
    which the command line gave. Paths are made absolute, because jobs may start in other folders;
    ``elsewhere``, where paths are those of other machines, they stay as they are. Raises
    ConfigError where a variable cannot be used or the cookies file is not there.
    """
    given = environment_and_dotenv(environment)
    for key, value, field, ambient in _ambient(sections):
        said = "" if key in first else given.get(ambient.variable, "")
        if said:
            _check(ambient, field, said)
        words = said or text(value, ambient.separator)
        if not elsewhere and Path in _types(field.annotation):
            words = _absolute(key, ambient, words)
        if words or key in first:
            environment[ambient.variable] = words
            environment[INTO_CONTAINERS + ambient.variable] = words


def text(value: Any, separator: str = "") -> str:
    """A value as commands read it from the environment; "" where nothing is set."""
    if isinstance(value, list | tuple):
        return separator.join(str(part) for part in value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return "" if value is None else str(value)


def _ambient(
    sections: Mapping[str, BaseModel],
) -> Iterator[tuple[str, Any, FieldInfo, Ambient]]:
    for section, part in sections.items():
        for name, field in type(part).model_fields.items():
            ambient = marker(field, Ambient)
            if ambient:
                yield f"{section}.{name}", getattr(part, name), field, ambient


def _check(ambient: Ambient, field: FieldInfo, said: str) -> None:
    """One line here instead of one for every job."""
    if ambient.refused:
        return  # Here a password may stand, which no message is to show.
    wanted: Any = Annotated[field.annotation, *field.metadata]
    try:
        TypeAdapter(wanted).validate_python(from_text(said, ambient.separator))
    except ValidationError as error:
        raise ConfigError(f"{ambient.variable} is {said!r}: {error.errors()[0]['msg']}") from None


def _types(annotation: Any) -> set[Any]:
    """The types that an annotation such as ``tuple[Path, ...]`` is made of."""
    inside = typing.get_args(annotation)
    return {annotation} if not inside else set().union(*map(_types, inside))


def _absolute(key: str, ambient: Ambient, said: str) -> str:
    """``said`` with paths made absolute; ConfigError where a single file is not there."""
    if ambient.separator:
        parts = from_text(said, ambient.separator)
        return ambient.separator.join(str(Path(part).absolute()) for part in parts)
    if not said:
        return said
    path = Path(said).expanduser().absolute()
    if not path.is_file():
        mend = f"{ambient.missing}, or leave" if ambient.missing else "leave"
        raise ConfigError(
            f"config: {key}: {path} is no file; {mend} the key ({ambient.variable}) out"
        )
    return str(path)
