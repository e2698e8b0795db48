"""What every part of the configuration has in common."""

import typing
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.fields import FieldInfo

# One pattern for voices and sources, in the schema and in the workflow's wildcards.
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
Name = Annotated[str, StringConstraints(pattern=f"^{NAME_PATTERN}$")]


class Section(BaseModel):
    """A part of the configuration; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", validate_default=True, allow_inf_nan=False)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The first pydantic model inside an annotation such as ``dict[str, Voice]``."""
    inside = typing.get_args(annotation)
    if not inside and isinstance(annotation, type):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(model_in, inside)), None)


def fields(model: type[BaseModel], within: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key that holds a value, with what is known of it: ``voices.*.language``."""
    for name, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner is None:
            yield within + name, field
        else:
            several = typing.get_origin(field.annotation) in (dict, list)
            yield from fields(inner, f"{within}{name}." + ("*." if several else ""))
