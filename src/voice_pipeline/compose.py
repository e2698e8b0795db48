"""One model of the whole configuration, composed of what each stage says of its own options.

A stage's options make the section of its name. Those that have their home elsewhere stand there:
the models of a run in ``models``, a voice's language with the voice. Options of the families of
speaking models stand in ``train`` and ``speech``: what all of them have directly, what one adds in
a part of its own, ``train.csm``.
"""

import functools
import re
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic.fields import FieldInfo

from vc_core.errors import InputError
from vc_core.options import Ambient, Demanded, Environment, Home, Incidental, marker
from voice_pipeline.config import PipelineConfig
from voice_pipeline.parts import KINDS, Kind, Parts, own_keys, parts_of
from voice_pipeline.section import Section, model_in

MARKERS = (Ambient, Demanded, Environment, Home, Incidental)
MODELS = "models"

# What may be given to the check of a configuration: that it is done within a job of another run.
WITHIN = "within"

Fields = dict[str, Any]


class _Complete(PipelineConfig):
    """The whole configuration of a run."""

    @model_validator(mode="after")
    def _fill_in(self, info: ValidationInfo) -> Self:
        """Give the options of speaking models that were left out the defaults of the family."""
        try:
            family = self.family()
        except InputError:
            # A job of another stage may run where the family is not installed.
            if not (info.context or {}).get(WITHIN):
                raise
            family = None
        for kind in KINDS:
            defaults = (kind.of(family) if family else kind.common).model_fields
            part = getattr(self, kind.section)
            filled = {
                name: defaults[name].get_default(call_default_factory=True)
                for name in kind.common.model_fields
                if getattr(part, name) is None and not defaults[name].is_required()
            }
            setattr(self, kind.section, part.model_copy(update=filled))
        return self


@functools.cache
def compose(root: Path, installed: bool = True) -> type[PipelineConfig]:
    """The model of the configuration for the checkout ``root``.

    With ``installed`` it knows the families of speaking models that other packages offer, too.
    """
    parts = parts_of(root, installed)
    made: type[PipelineConfig] = _Complete
    for place, (doc, fields) in _sections(parts).items():
        made = _with(made, place.split("."), doc, fields)
    made = create_model("PipelineConfig", __base__=made, __doc__=PipelineConfig.__doc__)
    made.parts = parts
    return made


def _sections(parts: Parts) -> dict[str, tuple[str, Fields]]:
    """What each section holds beside what the front door knows of it, with its description."""
    found: dict[str, tuple[str, Fields]] = {MODELS: (MODELS_DOC, _models(parts))}
    kinds = {kind.section: kind for kind in KINDS}
    for stage, model in parts.options.items():
        section = parts.section(stage)
        keys = own_keys(model, section)
        fields = {
            name: _typed(field)
            for name, field in model.model_fields.items()
            if keys[name] == f"{section}.{name}"
        }
        if section in kinds:
            fields |= _of_families(kinds.pop(section), parts)
        if fields:
            found[section] = ((model.__doc__ or "").strip(), fields)
    for section, kind in kinds.items():
        found[section] = ((kind.common.__doc__ or "").strip(), _of_families(kind, parts))
    return found


MODELS_DOC = "The models of a run: the one place where they are chosen."


def _models(parts: Parts) -> Fields:
    """Every model that some stage or family asks for. One that another stands in for may be left
    out."""
    found: Fields = {}
    for key, field in parts.homes().items():
        section, _, name = key.partition(".")
        if section == MODELS:
            home = marker(field, Home)
            found[name] = _optional(field) if home and home.otherwise else _typed(field)
    return found


def _of_families(kind: Kind, parts: Parts) -> Fields:
    """The options of speaking models: those of all families, and a part for each with its own."""
    found = {name: _optional(field) for name, field in kind.common.model_fields.items()}
    for family in parts.families:
        model = kind.of(family)
        own = {
            name: _typed(field)
            for name, field in model.model_fields.items()
            if name not in kind.common.model_fields and marker(field, Home) is None
        }
        if own:
            found[family.name] = _default(_section([kind.section, family.name], model.__doc__, own))
    return found


def _with(
    model: type[Any], place: list[str], doc: str, fields: Fields, path: tuple[str, ...] = ()
) -> type[Any]:
    """``model`` with some more fields at a place in it, such as ``voices.*.reference``."""
    if not place:
        return _more(model, fields)
    name, *rest = place
    if name not in model.model_fields:
        return _more(model, {name: _default(_section([*path, name], doc, fields))})
    field = model.model_fields[name]
    inner = model_in(field.annotation)
    assert inner is not None, f"{name} holds no section"
    made = _with(inner, [part for part in rest if part != "*"], doc, fields, (*path, name))
    if typing.get_origin(field.annotation) is dict:
        key, _ = typing.get_args(field.annotation)
        return _more(model, {name: (dict.__class_getitem__((key, made)), field)})
    return _more(model, {name: _default(made)})


def _more(model: type[Any], fields: Fields) -> type[Any]:
    made: type[Any] = create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields)
    return made


def _section(place: Iterable[str], doc: str | None, fields: Fields) -> type[Section]:
    name = "".join(part.capitalize() for word in place for part in re.split("[-_]", word))
    return create_model(name, __base__=Section, __doc__=(doc or "").strip(), **fields)


def _default(section: type[BaseModel]) -> Any:
    """A section as a field, whose default are the defaults of what is in it."""
    return (section, section())


def _typed(field: FieldInfo) -> Any:
    """A stage's option as a field of the configuration, with its type, bounds and description."""
    ambient = marker(field, Ambient)
    refusing = AfterValidator(functools.partial(_not_refused, ambient)) if ambient else None
    checks = [*field.metadata, *filter(None, [refusing]), _told(field)]
    return (Annotated[field.annotation, *checks], _given(field))


def _optional(field: FieldInfo) -> Any:
    """An option that may be left out, because its default stands elsewhere."""
    markers = [one for one in field.metadata if isinstance(one, MARKERS)]
    kept = [one for one in field.metadata if one not in markers]
    checked: Any = Annotated[field.annotation, *kept] if kept else field.annotation
    return (Annotated[checked | None, *markers, _told(field)], None)


def _told(field: FieldInfo) -> Any:
    return Field(description=field.description)


def _given(field: FieldInfo) -> Any:
    return ... if field.is_required() else field.get_default(call_default_factory=True)


def _not_refused(ambient: Ambient, given: Any) -> Any:
    # The configuration is written down beside the results.
    if ambient.refused and re.search(ambient.refused, str(given)):
        raise ValueError(ambient.why)
    return given
