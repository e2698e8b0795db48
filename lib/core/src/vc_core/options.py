"""The one home of an option: a typed, described, bounded model of what a command can be told.

A stage's ``options.py`` holds such a model. From it come the command line's ``--help`` and parsing
(``add``, ``Parser.named``), the stage's part of the configuration with its schema and its page in
the documentation, and the words that the workflow gives the command (``words``). It imports
pydantic and vc_core only, because the workflow reads it by path, whether the stage is installed
or not.

Markers in an option's ``Annotated`` type say what its type cannot: where in the configuration its
value stands (``Home``), which variable of the environment sets it (``Environment``), that no result
depends on it (``Incidental``), that it travels by the environment alone (``Ambient``).
"""

from __future__ import annotations

import argparse
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, Union

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic.fields import FieldInfo

from vc_core.errors import InputError

NonEmpty = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


@dataclass(frozen=True)
class Home:
    """The option's key in the configuration, where that is not in its stage's own section.

    A ``*`` stands for the voice, a second one for the source: ``voices.*.language``. Where nothing
    is given there, the value is that of the key ``otherwise``, if it names one.
    """

    key: str
    otherwise: str = ""


@dataclass(frozen=True)
class Environment:
    """The variable that sets the option for the whole configuration, such as DEFAULT_MAX_STEPS."""

    variable: str


@dataclass(frozen=True)
class Incidental:
    """What was made does not depend on the option, so a change of it makes nothing anew."""


@dataclass(frozen=True)
class Ambient:
    """The command reads the option from a variable where its command line does not give it.

    The workflow sets the variable instead of naming the option, which therefore stands in no log
    and no record. Several values are separated by ``separator`` in it. ``refused`` is a regular
    expression for what must not stand in a file of the configuration, ``why`` says so. ``missing``
    is what to do where the file that the option names is not there.
    """

    variable: str
    separator: str = ""
    refused: str = ""
    why: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Demanded:
    """By hand the option must be given; its default is the configuration's alone."""


class Options(BaseModel):
    """What a command can be told; a name it does not know is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False
    )


Model = TypeVar("Model", bound=Options)
Marker = TypeVar("Marker", Home, Environment, Incidental, Ambient, Demanded)


def marker(field: FieldInfo, kind: type[Marker]) -> Marker | None:
    """The marker of that kind in an option's type, or None."""
    return next((found for found in field.metadata if isinstance(found, kind)), None)


def flag(name: str) -> str:
    """``max_steps`` as it stands on a command line: ``--max-steps``."""
    return "--" + name.replace("_", "-")


def words(model: type[BaseModel], values: Mapping[str, Any], incidental: bool) -> list[str]:
    """The command line that says ``values``: every option, or those of one sort alone.

    With ``incidental`` those on which no result depends, without it all the others. Options that
    travel by the environment, and those whose value is None, are not named.
    """
    said: list[str] = []
    for name, field in model.model_fields.items():
        value = values[name]
        if (marker(field, Incidental) is not None) is not incidental or value is None:
            continue
        if marker(field, Ambient) is None:
            said += _words(flag(name), value)
    return said


def _words(option: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [option if value else "--no-" + option.removeprefix("--")]
    if isinstance(value, list | tuple):
        return [word for one in value for word in _words(option, one)]
    # A number as its shortest exact text; one word, so that a value may begin with a dash.
    return [f"{option}={value!r}" if isinstance(value, float) else f"{option}={value}"]


# --- on the command line


class Parser(argparse.ArgumentParser):
    """A parser that knows which of its options are those of typed models, by the name of each."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Abbreviated, an option would be read otherwise where it decides which others there are.
        self.allow_abbrev = False
        self.declared: dict[str, type[Options]] = {}
        # What adds the arguments that depend on others, which it finds in the command line.
        self.later: list[Callable[[Sequence[str]], None]] = []

    def named(self, arguments: Iterable[str]) -> dict[str, Any]:
        """What a command line says: plain arguments by their names, options as their models.

        Ends with the usage and exit code 2 where an option's value is not to be had.
        """
        given = list(arguments)
        shows = {"-h", "--help", "--version"} & set(given)
        while self.later:
            try:
                self.later.pop(0)(given)
            except InputError:
                # What is asked for can be shown without what depends on others.
                if not shows:
                    raise
        args = vars(self.parse_args(given))
        typed = {name: self._read(model, args) for name, model in self.declared.items()}
        taken = {name for model in self.declared.values() for name in model.model_fields}
        return {name: value for name, value in args.items() if name not in taken} | typed

    def _read(self, model: type[Model], args: Mapping[str, Any]) -> Model:
        told = {name: args[name] for name in model.model_fields if name in args}
        for name, field in model.model_fields.items():
            ambient = marker(field, Ambient)
            if not ambient:
                continue
            if ambient.separator and name in told:
                told[name] = [x for text in told[name] for x in from_text(text, ambient.separator)]
            elif name not in told and os.environ.get(ambient.variable):
                told[name] = from_text(os.environ[ambient.variable], ambient.separator)
        try:
            return model.model_validate(told)
        except ValidationError as error:
            self.error(complaint(error))


def from_text(text: str, separator: str) -> str | list[str]:
    """The value of a variable: one text, or the parts between separators."""
    if not separator:
        return text
    return [part.strip() for part in text.split(separator) if part.strip()]


def add(parser: Parser, model: type[Options], name: str = "options") -> None:
    """Give ``parser`` the options of ``model``; what is parsed comes as its argument ``name``.

    A small translation of a model into argparse: pydantic-settings does more, and takes 0.12 CPU
    seconds more at the start of every job, of which a workflow has thousands.
    """
    for option, field in model.model_fields.items():
        annotation = _without_none(field.annotation)
        how: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _help(field)}
        if marker(field, Demanded):
            how["required"] = True
        if annotation is bool:
            how["action"] = argparse.BooleanOptionalAction
        else:
            how["metavar"] = _metavar(annotation)
            if typing.get_origin(annotation) in (list, tuple):
                how["action"] = "append"
        parser.add_argument(flag(option), **how)
    parser.declared[name] = model


def _help(field: FieldInfo) -> str:
    """The description, the default where there is one to tell, and the variable if there is one."""
    parts = [field.description or ""]
    untold = field.is_required() or marker(field, Demanded)
    default = None if untold else field.get_default(call_default_factory=True)
    if default is not None and default not in ("", (), []):
        parts.append(f"(default: {default})")
    ambient = marker(field, Ambient)
    if ambient:
        parts.append(f"[environment: {ambient.variable}]")
    return " ".join(part for part in parts if part).replace("%", "%%")


def _metavar(annotation: Any) -> str:
    """What stands for a value in ``--help``: ``int``, or ``{auto,cpu}`` where there are choices."""
    parts = _choices(annotation)
    return parts[0] if len(parts) == 1 else "{" + ",".join(parts) + "}"


def _choices(annotation: Any) -> list[str]:
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return [str(choice) for choice in inside]
    if origin in (Union, types.UnionType):
        return [choice for part in inside for choice in _choices(part)]
    if origin is not None:  # Annotated, list or tuple: what is in it
        return _choices(inside[0])
    return [str(annotation.__name__)]


def _without_none(annotation: Any) -> Any:
    """``Path | None`` as ``Path``: what can be given."""
    if typing.get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    inside = tuple(part for part in typing.get_args(annotation) if part is not types.NoneType)
    return inside[0] if len(inside) == 1 else Union[inside]  # noqa: UP007, of what is computed


def complaint(error: ValidationError) -> str:
    """A line for the first fault of a command line, as argparse words it."""
    first = error.errors()[0]
    if not first["loc"]:
        return _said(first["msg"])
    if first["type"] == "missing":
        return f"argument {flag(str(first['loc'][0]))}: is missing"
    # An option of several types has a fault for each.
    said = [_said(fault["msg"]) for fault in error.errors() if fault["loc"][:1] == first["loc"][:1]]
    return f"argument {flag(str(first['loc'][0]))}: {first['input']!r}: {', or '.join(said)}"


def _said(message: str) -> str:
    said = message.removeprefix("Value error, ")
    return said[:1].lower() + said[1:]
