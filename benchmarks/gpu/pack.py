"""Gather the wheels that a GPU machine without a network lacks, to be carried there.

    benchmarks/gpu/pack                  # into benchmarks/gpu/packed
    benchmarks/gpu/pack -o FOLDER --limit-mb 40

The machine is x86-64 with Python 3.12, and has torch, transformers, accelerate, pyarrow, pandas,
tensorboard and pytest; wheels.txt lists what it lacks. There,
``python3 -m pip install --no-index --no-deps --target SITE packed/*.whl`` installs them;
``benchmarks/gpu/run`` does. This project's own packages lie among them, so that their entry points
are found; their code is taken from the working tree. Whatever only other machines need is left out
of the largest wheels. What lies in the folder already is kept, wheels that are no longer listed
are removed. Last come the sizes: of each wheel, and with the tracked files, which travel along;
more than --limit-mb is an error.
"""

import argparse
import csv
import io
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYTHON = "3.12"
# pip takes a wheel for exactly these, so each that some wheel names has to be said.
PLATFORMS = [
    *(f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 27, 28, 31, 34, 35, 39)),
    "manylinux2014_x86_64",
    "manylinux1_x86_64",
]
# Files of wheels that stay behind, by package.
UNUSED = {
    # Libraries for other versions of CUDA, and for other makers' cards.
    "bitsandbytes": re.compile(r"bitsandbytes/libbitsandbytes_(?!cuda130\.|cpu\.)[^/]*\.so"),
    # An application, and the command that starts it.
    "unsloth": re.compile(r"(studio|unsloth_cli)/.*|[^/]+\.dist-info/entry_points\.txt"),
}
OWN = ("lib/core", "lib/speech", "lib/csm", "stages/encode", "stages/separate", "stages/train")
MB = 1e6


class Pin(NamedTuple):
    """A package and its version, written as in ``str``: NAME==VERSION."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


def main() -> None:
    args = parse()
    pins = listed(HERE / "wheels.txt")
    args.output.mkdir(parents=True, exist_ok=True)
    for wheel in args.output.glob("*.whl"):
        if held(wheel) not in pins:
            wheel.unlink()
    there = {held(wheel) for wheel in args.output.glob("*.whl")}
    for pin in pins:
        if pin not in there:
            fetch(pin, args.output)
    build(args.output)
    total = tell(args.output)
    if total > args.limit_mb * MB:
        sys.exit(f"pack: {total / MB:.1f} MB is more than --limit-mb {args.limit_mb:g}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=HERE / "packed", metavar="FOLDER")
    parser.add_argument("--limit-mb", type=float, default=40.0, metavar="MB")
    return parser.parse_args()


def listed(path: Path) -> list[Pin]:
    """The pins of a list: one a line, with comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    parts = [line.partition("==") for line in lines if line]
    for name, equal, version in parts:
        if not (name and equal and version):
            sys.exit(f"pack: {path.name}: not NAME==VERSION: {name}{equal}{version}")
    return [Pin(canonical(name), version) for name, _, version in parts]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def held(wheel: Path) -> Pin:
    """What a wheel's file name says that it holds."""
    name, _, rest = wheel.name.partition("-")
    return Pin(canonical(name), rest.partition("-")[0])


def fetch(pin: Pin, folder: Path) -> None:
    """Put a pin's wheel into a folder, whole or not at all."""
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as partial:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--only-binary=:all:", "--implementation=cp"]
        command += [f"--python-version={PYTHON}", *(f"--platform={each}" for each in PLATFORMS)]
        done = subprocess.run(
            [*command, "-d", partial, str(pin)], capture_output=True, text=True, check=False
        )
        wheels = list(Path(partial).glob("*.whl"))
        if done.returncode or not wheels:
            told = done.stderr.strip().splitlines() or ["pip made no wheel"]
            sys.exit(f"pack: {pin}: {told[-1].removeprefix('ERROR: ')}")
        wheel = wheels[0]
        if pin.name in UNUSED:
            wheel = without(wheel, UNUSED[pin.name])
        wheel.replace(folder / wheels[0].name)


def build(folder: Path) -> None:
    """Put wheels of this project's own packages into a folder."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder)]
    done = subprocess.run(
        [*command, *(str(ROOT / project) for project in OWN)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        told = done.stderr.strip().splitlines() or ["pip made no wheel"]
        sys.exit(f"pack: this project's own wheels: {told[-1].removeprefix('ERROR: ')}")
    for project in OWN:
        shutil.rmtree(ROOT / project / "build", ignore_errors=True)  # pip leaves it behind


def without(wheel: Path, unused: re.Pattern[str]) -> Path:
    """A copy of a wheel that lacks the files of some names, in its RECORD, too."""
    smaller = wheel.with_suffix(".smaller")
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(smaller, "w") as part:
        for info in whole.infolist():
            if unused.fullmatch(info.filename):
                continue
            content = whole.read(info)
            if re.fullmatch(r"[^/]+\.dist-info/RECORD", info.filename):
                content = record_without(content, unused)
            part.writestr(info, content)
    return smaller


def record_without(record: bytes, unused: re.Pattern[str]) -> bytes:
    rows = csv.reader(io.StringIO(record.decode("utf-8"), newline=""))
    kept = io.StringIO(newline="")
    writer = csv.writer(kept, lineterminator="\n")
    writer.writerows(row for row in rows if row and not unused.fullmatch(row[0]))
    return kept.getvalue().encode("utf-8")


def tell(folder: Path) -> int:
    """Print the sizes of a folder's wheels and of the tracked files; their sum in bytes."""
    sizes = {wheel.name: wheel.stat().st_size for wheel in sorted(folder.glob("*.whl"))}
    for name, size in sizes.items():
        print(f"{size / MB:8.3f} MB  {name}")
    wheels, tracked = sum(sizes.values()), tracked_size()
    print(f"{wheels / MB:8.3f} MB  {len(sizes)} wheels")
    print(f"{tracked / MB:8.3f} MB  tracked files")
    print(f"{(wheels + tracked) / MB:8.3f} MB  together", flush=True)
    return wheels + tracked


def tracked_size() -> int:
    """Bytes of the files that git tracks, as they lie in the working tree."""
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"pack: {ROOT} is no checkout of git")
    paths = {ROOT / name for name in done.stdout.split("\0") if name}
    return sum(path.lstat().st_size for path in paths if path.is_symlink() or path.is_file())


if __name__ == "__main__":
    main()
