"""Check the floors of the house: who may import whom, derived from the folders there are.

Arrows run down only: the front door and the stages stand on families of speaking models, these on
speech, this on the core. Stages share files and nothing else; a family is found by its entry
point, never imported by name; the front door knows the core alone, and nobody knows it.
"""

import sys
import tempfile
from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(folder) for folder in (ROOT / "src", *sorted(ROOT.glob("*/*/src")))]

from voice_pipeline.stages import libraries_in, stages_in  # noqa: E402

FRONT_DOOR = "voice_pipeline"
CORE = "vc_core"


def contracts() -> list[dict[str, object]]:
    """The contracts of import-linter for this checkout."""
    stages = [stage.package for stage in stages_in(ROOT)]
    libraries = libraries_in(ROOT)
    families = [one.package for one in libraries if one.family]
    others = [one.package for one in libraries if not one.family and one.package != CORE]
    floors = [[FRONT_DOOR], stages, families, others, [CORE]]
    return [
        {
            "name": "Arrows run down only, and no room opens into the one beside it",
            "type": "layers",
            "layers": [" | ".join(floor) for floor in floors if floor],
        },
        {
            "name": "Stages find families of speaking models by entry point, not by name",
            "type": "forbidden",
            "source_modules": stages,
            "forbidden_modules": families,
        },
        {
            "name": "The front door imports the core alone",
            "type": "forbidden",
            "source_modules": [FRONT_DOOR],
            "forbidden_modules": [*stages, *families, *others],
        },
        {
            "name": "No circles within a package",
            "type": "acyclic_siblings",
            "ancestors": packages(),
        },
    ]


def packages() -> list[str]:
    """Every package of the checkout."""
    return [FRONT_DOOR, *(one.package for one in (*stages_in(ROOT), *libraries_in(ROOT)))]


def configuration() -> str:
    """What import-linter reads, as TOML."""
    lines = ["[tool.importlinter]", f"root_packages = {packages()!r}"]
    for contract in contracts():
        lines += ["[[tool.importlinter.contracts]]"]
        lines += [f"{key} = {value!r}" for key, value in contract.items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Check; returns 0 where every contract is kept."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "walls.toml"
        path.write_text(configuration(), "utf-8")
        return lint_imports(config_filename=str(path), cache_dir=folder, no_logo=True)


if __name__ == "__main__":
    sys.exit(main())
