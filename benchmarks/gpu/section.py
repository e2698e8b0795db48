"""One section in a process of its own: ``python -m gpu.section gpu.training --rows FILE ...``."""

import argparse
import importlib
from pathlib import Path

from gpu.bench import SCALES, Bench


def main() -> None:
    """Measure the section that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", help="with a function measure")
    parser.add_argument("--scale", choices=SCALES, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--folder", type=Path, required=True, help="shared by the sections")
    parser.add_argument("--rows", type=Path, required=True, help="file of JSON lines to add to")
    args = parser.parse_args()
    bench = Bench(SCALES[args.scale], args.device, args.folder, args.rows)
    importlib.import_module(args.module).measure(bench)


if __name__ == "__main__":
    main()
