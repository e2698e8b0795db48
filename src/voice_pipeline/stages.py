"""What a checkout is made of, by its folders: the stages with their own facts, and the libraries.

What the workflow has to know of a stage stands in the stage's pyproject.toml, in the table
``tool.voice-clone``; nothing else lists the stages. containers/build reads this too, before
anything is installed, so it needs the standard library alone.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TABLE = "voice-clone"

# The entry point group by which a library offers a family of speaking models.
FAMILY_GROUP = "voice_clone.tts"

ABOUT = ("source", "voice", "run")


@dataclass(frozen=True)
class Stage:
    """One stage: its name, its folder, and what its pyproject.toml says of it.

    ``order`` is its place in the workflow and the report, ``about`` what its outputs belong to:
    a source, a voice, or the run. ``gpu`` tells whether it computes on one, ``families`` whether
    it runs speaking models. The report waits for its ``outputs``, written as in its rule; with
    ``given`` only for voices in which that key of the configuration, such as
    ``voices.*.demo_text``, is given. ``image`` is described in containers/images.yaml.
    """

    name: str
    folder: Path
    order: int
    about: str
    gpu: bool = False
    families: bool = False
    outputs: tuple[str, ...] = ()
    given: str = ""
    image: Mapping[str, Any] = field(default_factory=dict)

    @property
    def package(self) -> str:
        """Its Python package: ``vc_separate``."""
        return "vc_" + self.name.replace("-", "_")


@dataclass(frozen=True)
class Library:
    """A package that stages stand on; ``family``: it offers a family of speaking models.

    ``images`` has for stages by name what their images hold beside, where they run that family.
    """

    folder: Path
    package: str
    family: bool
    extras: frozenset[str]
    images: Mapping[str, Any]

    def wanted_by(self, *stages: str) -> str:
        """What is installed of it for some stages, such as ``lib/csm[train]``.

        An extra that has a stage's name is what only that stage wants of it.
        """
        extras = ",".join(sorted(self.extras & set(stages)))
        return f"lib/{self.folder.name}" + (f"[{extras}]" if extras else "")


def find_root() -> Path:
    """The folder with the Snakefile: the current one, or the checkout of this package."""
    for folder in (Path.cwd(), *Path(__file__).resolve().parents):
        if (folder / "Snakefile").is_file() and (folder / "stages").is_dir():
            return folder
    raise FileNotFoundError("no Snakefile here; run from the folder of the pipeline's checkout")


def stages_in(root: Path) -> tuple[Stage, ...]:
    """The stages of a checkout in their order.

    Raises ValueError naming file and key where a stage's facts cannot be used.
    """
    found = [_stage(path) for path in sorted(root.glob("stages/*/pyproject.toml"))]
    return tuple(sorted(found, key=lambda stage: (stage.order, stage.name)))


def with_gpu() -> list[str]:
    """Names of the stages that compute on a GPU, for profiles."""
    return [stage.name for stage in stages_in(find_root()) if stage.gpu]


def libraries_in(root: Path) -> tuple[Library, ...]:
    """The libraries of a checkout: first what everything stands on, the families last."""
    found = [_library(path) for path in sorted(root.glob("lib/*/pyproject.toml"))]
    return tuple(sorted(found, key=lambda one: (one.family, one.package != "vc_core")))


def image_of(root: Path, stage: Stage) -> dict[str, Any]:
    """What the image of a stage is made of: its own description and those of its families."""
    made = dict(stage.image)
    for library in libraries_in(root) if stage.families else ():
        made = _beside(made, library.images.get(stage.name, {}))
    return made


def _beside(image: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Two descriptions as one: lists together, tables key by key, else what the second says."""
    made = dict(image)
    for key, value in more.items():
        if isinstance(value, list):
            made[key] = [*made.get(key, []), *(x for x in value if x not in made.get(key, []))]
        elif isinstance(value, Mapping):
            made[key] = _beside(made.get(key, {}), value)
        else:
            made[key] = value
    return made


def _stage(path: Path) -> Stage:
    told = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get(TABLE)
    if not isinstance(told, dict):
        raise ValueError(f"{path}: the table [tool.{TABLE}] is missing; say order and about in it")
    facts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in told.items()
    }
    try:
        made = Stage(name=path.parent.name, folder=path.parent, **facts)
    except TypeError as error:
        said = str(error).partition(".__init__() ")[2]
        raise ValueError(f"{path}: [tool.{TABLE}] {said}") from None
    if made.about not in ABOUT:
        raise ValueError(f"{path}: about is {made.about!r}; write one of {', '.join(ABOUT)}")
    return made


def _library(path: Path) -> Library:
    told = tomllib.loads(path.read_text("utf-8"))
    project = told["project"]
    return Library(
        folder=path.parent,
        package=str(project["name"]).replace("-", "_"),
        family=FAMILY_GROUP in project.get("entry-points", {}),
        extras=frozenset(project.get("optional-dependencies", {})),
        images=told.get("tool", {}).get(TABLE, {}).get("images", {}),
    )
