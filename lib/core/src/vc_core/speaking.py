"""What is known of a family of speaking models without loading it: its options, limits and models.

A package offers a family by an entry point of the group ``voice_clone.tts`` (see vc_speech.tts).
Beside that, its ``options.py`` holds a ``Family`` named FAMILY, which the workflow reads by path,
where the package itself may not be installed.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from vc_core import models
from vc_core.errors import InputError
from vc_core.options import Environment, Incidental, Options

AUTO = "auto"


# Options that every family has, each with a default of its own.
Steps = Annotated[
    int, Field(ge=1, description="Optimiser steps."), Environment("DEFAULT_MAX_STEPS")
]
BatchSize = Annotated[
    int,
    Field(ge=1, description="Clips of full length in a batch."),
    Environment("DEFAULT_BATCH_SIZE"),
]
GradientAccumulation = Annotated[
    int,
    Field(ge=1, description="Batches in an optimiser step; times the batch size, its clips."),
    Environment("DEFAULT_GRADIENT_ACCUMULATION"),
]
LearningRate = Annotated[
    float,
    Field(gt=0, description="Peak learning rate."),
    Environment("DEFAULT_LEARNING_RATE"),
]


class Training(Options):
    """How a voice is learnt; a family gives the first four their defaults, and adds its own."""

    max_steps: Steps
    batch_size: BatchSize
    gradient_accumulation: GradientAccumulation
    learning_rate: LearningRate
    epochs: Annotated[
        float,
        Field(default=0.0, ge=0, description="Passes over the clips instead of steps; 0: steps."),
    ]
    eval_every: Annotated[int, Field(default=100, ge=1, description="Steps between validations.")]
    samples: Annotated[
        int,
        Field(
            default=8,
            ge=0,
            description="Validation sentences that are spoken and judged, to choose the "
            "checkpoint by; 0: by validation loss.",
        ),
    ]
    sample_every: Annotated[
        int, Field(default=250, ge=1, description="Steps between spoken samples.")
    ]
    patience: Annotated[
        int,
        Field(
            default=5,
            ge=0,
            description="Validations without anything better before the run stops early; 0: never.",
        ),
    ]
    seed: Annotated[int, Field(default=0, ge=0, description="Seed of weights, order and draws.")]
    processes: Annotated[
        int,
        Field(
            default=1,
            ge=1,
            le=16,
            description="Processes that train together, one a GPU of one machine.",
        ),
    ]
    checkpoint_every: Annotated[
        int, Field(default=100, ge=1, description="Steps between checkpoints."), Incidental()
    ]
    log_every: Annotated[
        int, Field(default=10, ge=1, description="Steps between log lines."), Incidental()
    ]


class Speaking(Options):
    """How a finished voice speaks, for a demo and when it is scored. A family adds its own."""

    seed: Annotated[
        int, Field(default=0, ge=0, description="Seed of the first text; then one more each.")
    ]
    batch_size: Annotated[
        int, Field(default=8, ge=1, description="Texts that are said at the same time.")
    ]


@dataclass(frozen=True)
class Limits:
    """What a family can learn from and say.

    ``clip_seconds`` is its longest clip, ``languages`` are ISO 639 codes, None for any.
    """

    clip_seconds: float
    languages: frozenset[str] | None = None


@dataclass(frozen=True)
class Variant:
    """One way in which a family speaks when it is scored.

    ``adapter`` tells whether it speaks with what was learnt, ``context`` whether the reference
    steers it, ``stock`` whether it speaks with the voice of the base model that the judge finds
    most like the target. ``title`` is what people read.
    """

    name: str
    title: str
    adapter: bool
    context: bool = False
    stock: bool = False


def _none(config: Mapping[str, Any]) -> bool:
    return False


@dataclass(frozen=True)
class Family:
    """A family of speaking models: its name, what people call it, what it can be told.

    ``models`` are base models by their full name, ``pattern`` a regular expression for the last
    part of a Hub id or folder, ``recognises`` looks at the config.json of a folder. The first of
    ``variants`` with an adapter and the first without are those that are compared in short.
    """

    name: str
    title: str
    training: type[Training]
    speaking: type[Speaking]
    limits: Limits
    variants: tuple[Variant, ...]
    models: tuple[str, ...] = ()
    pattern: str = ""
    recognises: Callable[[Mapping[str, Any]], bool] = field(default=_none)

    def claims(self, model: str) -> bool:
        """Whether a base model is one of this family's; asks no network."""
        if model in self.models:
            return True
        config = Path(model).expanduser() / "config.json"
        if config.is_file():
            try:
                told = json.loads(config.read_text("utf-8"))
            except (OSError, ValueError):
                told = None
            if isinstance(told, dict):
                return self.recognises(told)
        last = model.rstrip("/").rpartition("/")[2].lower()
        return bool(self.pattern) and re.fullmatch(self.pattern, last) is not None


def choose(families: Iterable[Family], model: str, named: str = AUTO) -> Family:
    """The family that is ``named``, or for auto the one that claims the base model.

    Raises InputError, naming those there are, where there is none.
    """
    known = {family.name: family for family in families}
    listed = ", ".join(sorted(known)) or "none; install one, such as vc-csm"
    if named != AUTO:
        if named not in known:
            raise InputError(f"models.family {named!r}: no such family; there are: {listed}")
        return known[named]
    claiming = [family for family in known.values() if family.claims(model)]
    if len(claiming) == 1:
        return claiming[0]
    if claiming:
        names = ", ".join(family.name for family in claiming)
        raise InputError(
            f"base model {model!r}: several families claim it ({names}); "
            "name one as models.family (--family)"
        )
    name_it = f"or name its family as models.family (--family); there are: {listed}"
    try:
        folder = Path(models.resolve(model))
    except InputError as error:
        raise InputError(f"{error}; {name_it}") from None
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise InputError(
            f"base model {model!r}: the folder has no config.json; give a model's folder, {name_it}"
        )
    raise InputError(
        f"base model {model!r}: no family of speaking models claims it; check it, {name_it}"
    )
