"""The stages of a checkout with their options, and the families of speaking models there are.

Options are read by path, because a stage need not be installed where the workflow is planned: in
a pod the image of one stage plans the whole.
"""

import functools
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic.fields import FieldInfo

from vc_core import engines, shared
from vc_core.options import Home, Options, marker
from vc_core.speaking import Family, Speaking, Training
from voice_pipeline.stages import Stage, libraries_in, stages_in


@dataclass(frozen=True)
class Kind:
    """Options that every family of speaking models has, and the section that they stand in.

    ``name`` is the family's attribute with its model, and what a stage that takes it names as
    ``of_family``.
    """

    name: str
    section: str
    common: type[Options]

    def of(self, family: Family) -> type[Options]:
        """The family's own model: what is common, with its defaults, and what it adds."""
        model: type[Options] = getattr(family, self.name)
        return model


KINDS = (Kind("training", "train", Training), Kind("speaking", "speech", Speaking))


@dataclass(frozen=True)
class Parts:
    """What a configuration is composed of; ``options`` are those of the stages that have some."""

    root: Path
    stages: tuple[Stage, ...]
    options: Mapping[str, type[Options]]
    families: tuple[Family, ...]

    def stage(self, name: str) -> Stage:
        """The stage of that name."""
        return next(stage for stage in self.stages if stage.name == name)

    def section(self, stage: str) -> str:
        """Where the options of a stage stand in the configuration: its name, or elsewhere."""
        return str(getattr(self.options[stage], "section", stage))

    def kind(self, stage: str) -> Kind | None:
        """The options of a family that a stage takes beside its own, if it takes some."""
        wanted = getattr(self.options.get(stage), "of_family", None)
        return next((kind for kind in KINDS if kind.name == wanted), None)

    def models(self) -> Iterator[type[Options]]:
        """Every model of options, of stages and of families."""
        yield from self.options.values()
        for family in self.families:
            yield from (kind.of(family) for kind in KINDS)

    def homes(self) -> dict[str, FieldInfo]:
        """Options whose value stands in another section than their stage's, by its key.

        Those that stages share come first.
        """
        common = [FieldInfo.from_annotation(made) for made in vars(shared).values() if _typed(made)]
        fields = [*common, *(x for model in self.models() for x in model.model_fields.values())]
        found: dict[str, FieldInfo] = {}
        for field in fields:
            home = marker(field, Home)
            if home:
                found.setdefault(home.key, field)
        return found


@functools.cache
def parts_of(root: Path, installed: bool = True) -> Parts:
    """What the checkout ``root`` is made of; with ``installed`` families of other packages, too.

    Raises ValueError naming the file where a stage or a family cannot be used.
    """
    stages = stages_in(root)
    found = {stage.name: _options(stage) for stage in stages}
    families = {family.name: family for family in _families(root)}
    if installed:
        for name in engines.names(engines.TTS):
            if name not in families:
                offered = getattr(engines.entry(engines.TTS, name), "family", None)
                if not isinstance(offered, Family):
                    package = engines.distribution(engines.TTS, name)
                    raise ValueError(f"{package}: {name} offers no vc_core.speaking.Family")
                families[name] = offered
    options = {name: model for name, model in found.items() if model}
    return Parts(root, stages, options, tuple(families.values()))


@functools.cache
def own_keys(model: type[Options], section: str) -> Mapping[str, str]:
    """The key of the configuration for each option of a stage."""
    homes = {name: marker(field, Home) for name, field in model.model_fields.items()}
    return {name: home.key if home else f"{section}.{name}" for name, home in homes.items()}


def family_keys(kind: Kind, family: Family) -> Mapping[str, str]:
    """The key of the configuration for each option of a family.

    What every family has stands in the section itself, what one adds in a part of its own.
    """
    model = kind.of(family)
    added = own_keys(model, f"{kind.section}.{family.name}")
    return {**added, **{name: f"{kind.section}.{name}" for name in kind.common.model_fields}}


def _options(stage: Stage) -> type[Options] | None:
    path = stage.folder / "src" / stage.package / "options.py"
    if not path.is_file():
        return None
    name = "".join(part.capitalize() for part in re.split("[-_]", stage.name)) + "Options"
    model = getattr(_module(path), name, None)
    if not (isinstance(model, type) and issubclass(model, Options)):
        raise ValueError(f"{path}: there is no class {name} of vc_core.options.Options; add it")
    return model


def _families(root: Path) -> Iterator[Family]:
    for library in libraries_in(root):
        if library.family:
            path = library.folder / "src" / library.package / "options.py"
            family = getattr(_module(path), "FAMILY", None)
            if not isinstance(family, Family):
                raise ValueError(f"{path}: there is no vc_core.speaking.Family FAMILY; add it")
            yield family


def _module(path: Path) -> ModuleType:
    """The module in a file, imported by its path alone."""
    # Not by its own name: the package itself, where it is installed, is another module.
    name = str(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: cannot be read as Python")
    module = importlib.util.module_from_spec(spec)
    # Pydantic looks up the names in annotations here.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _typed(value: Any) -> bool:
    return hasattr(value, "__metadata__")
