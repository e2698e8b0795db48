"""What training costs, against the public recipe for CSM rebuilt with plain transformers.

    python benchmarks/train.py              # frames learnt a second and memory, of both sides
    python benchmarks/train.py depth        # what learning from fewer depth frames changes

Both sides learn the same clips once, from the same base, in processes of their own and in turn,
so that noise hits both alike. Left out of the rates: start-up, loading, features and codes (told
apart), and the first third of the steps. The depth decoder's share of frames is measured on the
micro CSM and the shipped interview: losses of all validation frames, over several seeds.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import csm_sizes
import flops
import speech

from vc_core import files
from vc_csm import codes, csm

FRACTIONS = (1.0, 1 / 4, 1 / 16)
COMMANDS = Path(sys.executable).parent
RECIPE = Path(__file__).with_name("recipe.py")
NEVER = str(10**9)
MICRO_RATE = ("--learning-rate", "0.003")  # what the micro CSM stands, as in config.yaml
RECIPES = "recipe"  # how the names of its sides begin


@dataclass(frozen=True)
class Run:
    """What one training did: frames learnt in a second, and its most memory in MB."""

    frames_per_second: float
    peak_mb: float


@dataclass(frozen=True)
class Work:
    """What both sides are given: a CSM's folder, clips, their codes, and how a step is cut."""

    folder: Path
    model: Path
    dataset: Path
    coded: Path
    steps: int
    batch_size: int
    accumulation: int

    @property
    def clips(self) -> int:
        """Clips of the one epoch that is trained."""
        return self.steps * self.batch_size * self.accumulation

    def recipe(self, output: Path, precision: str) -> list[str]:
        """The command line of the public recipe."""
        return [
            *(sys.executable, str(RECIPE), str(self.dataset)),
            *("--model", str(self.model), "--clips", str(self.clips)),
            *("--batch-size", str(self.batch_size)),
            *("--gradient-accumulation", str(self.accumulation)),
            *("--precision", precision, "-o", str(output)),
        ]

    def ours(self, output: Path, fraction: float, *more: str) -> list[str]:
        """The command line of ``vc-train``."""
        return [
            *(str(COMMANDS / "vc-train"), str(self.coded), "--base-model", str(self.model)),
            *("--max-steps", str(self.steps), "--batch-size", str(self.batch_size)),
            *("--gradient-accumulation", str(self.accumulation)),
            *("--depth-fraction", str(fraction), "--checkpoint-every", NEVER),
            # The batch size is the one asked for, and start-up is not measured.
            *("--preset", "none", "--no-self-test"),
            *(*more, "-o", str(output)),
        ]


def execute(command: Sequence[str]) -> float | None:
    """Run a command; returns its most resident memory in MB, or None when memory ran out."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        words = said.read()
    if process.returncode and "out of memory" in words:
        return None
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}\n{words[-2000:]}")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return float(usage.ru_maxrss * unit / 1e6)


def rows_of(output: Path) -> list[dict[str, Any]]:
    """The steps of a training; the row of step 0 holds no step, only what the base is worth."""
    return [json.loads(line) for line in (output / "training.jsonl").read_text().splitlines()]


def measure(command: Sequence[str], output: Path) -> Run | None:
    """One training, without its first third of steps; None when memory ran out."""
    peak = execute(command)
    if peak is None:
        return None
    rows = [row for row in rows_of(output) if row["step"] > 0]
    rates = [
        after["frames"] / (after["seconds"] - before["seconds"])
        for before, after in itertools.pairwise(rows)
    ]
    record = files.read_json(output / "training.json")
    # The middle step: a machine that stalls for one of them changes nothing.
    rate = statistics.median(rates[max(0, len(rows) // 3 - 1) :])
    return Run(rate, record.get("peak_gpu_memory_mb", peak))


def compare(work: Work, rounds: int) -> dict[str, Run | None]:
    """Every side's medians, taken in turn; a side that once ran out of memory has none."""
    output = work.folder / "trained"
    sides = sides_of(work, output)
    runs: dict[str, list[Run | None]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, command in sides.items():
            if None not in runs[name]:
                runs[name].append(measure(command, output))
    return {name: median(found) for name, found in runs.items()}


def sides_of(work: Work, output: Path) -> dict[str, list[str]]:
    """The command line of every side, by the name that the tables give it.

    The recipe is bf16. A CPU is given float32 as well, which may be faster there; what counts is
    the faster of the two.
    """
    import torch

    recipes = ("bf16",) if torch.cuda.is_available() else ("bf16", "fp32")
    sides = {f"{RECIPES}, {name}": work.recipe(output, name) for name in recipes}
    for fraction in FRACTIONS:
        sides[side_name(fraction)] = work.ours(output, fraction)
    if "fp32" in recipes:
        sides["vc-train, fp32, depth 1"] = work.ours(output, 1.0, "--precision", "fp32")
    return sides


def side_name(fraction: float) -> str:
    """How the tables call a training of ours."""
    return f"vc-train, depth {fraction:.4g}"


def median(runs: Sequence[Run | None]) -> Run | None:
    """The medians of rates and memory, each by itself."""
    complete = [run for run in runs if run is not None]
    if len(complete) < len(runs):
        return None
    return Run(
        statistics.median(run.frames_per_second for run in complete),
        statistics.median(run.peak_mb for run in complete),
    )


def speed(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure both sides at every batch size and print a table for each."""
    import torch

    cuda = torch.cuda.is_available()
    sizes = args.batch_size or ([2**power for power in range(1, 10)] if cuda else [2])
    model = csm_sizes.prepare(args.size, folder)
    largest = args.steps * args.accumulation * max(sizes)
    clips = taken(speech.read(args.speech), model)[:largest]
    dataset, coded = folder / "dataset", folder / "codes.parquet"
    speech.write_dataset(dataset, train=clips)
    encoding = encode(model, dataset, coded)
    rate = flops.matrix_rate() if cuda else None
    seconds = sum(clip.seconds for clip in clips)
    print(f"{args.size} CSM on {torch.cuda.get_device_name() if cuda else 'the CPU'}")
    print(f"{len(clips)} clips, {seconds:.0f} s, encoded once for vc-train in {encoding:.1f} s")
    if rate is None:
        print("GPU figures are open: there is no CUDA device here")
    else:
        print(f"large bf16 matrices: {rate / 1e12:.0f} TFLOP/s")
    tables = []
    for size in sizes:
        shared = folder / f"codes-{size}.parquet"
        work = Work(folder, model, dataset, shared, args.steps, size, args.accumulation)
        repeat(coded, shared, work.clips)
        table = compare(work, args.rounds)
        shares = {name: share(work, run, name, rate) for name, run in table.items()}
        show(work, table, shares)
        tables.append(
            {
                "batch_size": size,
                "accumulation": args.accumulation,
                "clips": work.clips,
                "sides": {name: asdict(run) if run else None for name, run in table.items()},
                "share_of_matrix_rate": shares,
            }
        )
        if not any(table.values()):
            break
    return {"size": args.size, "encode_seconds": encoding, "matrix_rate": rate, "tables": tables}


def taken(clips: Sequence[speech.Clip], model: Path) -> list[speech.Clip]:
    """The clips that fit the positions the recipe pads to."""
    from recipe import POSITIONS

    processor = csm.load_processor(str(model))
    return [
        clip
        for clip in clips
        if len(csm.prompt(processor, [], clip.text, frames_of(clip))) <= POSITIONS
    ]


def frames_of(clip: speech.Clip) -> int:
    """How many frames the codec makes of a clip."""
    return -(-len(clip.samples) // csm_sizes.FRAME)


def encode(model: Path, dataset: Path, coded: Path) -> float:
    """Make the codes with the project's own command; returns its seconds."""
    if (
        execute(
            [
                *(str(COMMANDS / "vc-encode"), str(dataset), "--base-model", str(model)),
                *("-o", str(coded)),
            ]
        )
        is None
    ):
        raise SystemExit("vc-encode ran out of memory")
    return float(files.read_json(coded.with_name(coded.name + ".run.json"))["seconds"])


def repeat(coded: Path, target: Path, count: int) -> None:
    """Write so many clips' codes, from the first on and again."""
    clips, codec = codes.read(coded)
    codes.write(target, list(itertools.islice(itertools.cycle(clips), count)), codec)


def share(work: Work, run: Run | None, name: str, rate: float | None) -> float | None:
    """Of the card's matrix rate, how much goes into what the model needs."""
    if run is None or rate is None:
        return None
    from recipe import RANK
    from transformers import CsmConfig

    clips, _ = codes.read(work.coded)
    processor = csm.load_processor(str(work.model))
    positions = statistics.mean(
        len(csm.prompt(processor, [], clip.text, len(clip.codes))) for clip in clips
    )
    # The closing frame of zeros is learnt too.
    frames = statistics.mean(len(clip.codes) + 1 for clip in clips)
    fraction = next((part for part in FRACTIONS if name == side_name(part)), 1.0)
    config = CsmConfig.from_pretrained(work.model)
    needed = flops.per_frame(config, positions - frames, frames, RANK, fraction)
    return run.frames_per_second * needed / rate


def show(work: Work, table: dict[str, Run | None], shares: dict[str, float | None]) -> None:
    """Print one batch size; ratios are to the recipe's figure before them, at its fastest."""
    print(f"\nbatch {work.batch_size} x {work.accumulation}, {work.clips} clips")
    recipes = [run for name, run in table.items() if name.startswith(RECIPES) and run]
    names = ("frames/s", "ratio", "peak MB", "of bf16 rate")
    print(f"{'':24}" + "".join(f"{name:>13}" for name in names))
    best = max((run.frames_per_second for run in recipes), default=None)
    for name, run in table.items():
        if run is None:
            print(f"{name:24}  does not fit the memory")
            continue
        ratio = f"{run.frames_per_second / best:.2f}" if best else "-"
        part = shares[name]
        cells = (f"{run.frames_per_second:.1f}", ratio, f"{run.peak_mb:.0f}")
        shown = (*cells, "open" if part is None else f"{part:.1%}")
        print(f"{name:24}" + "".join(f"{cell:>13}" for cell in shown))


def depth(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train the micro CSM from shares of the depth frames; print losses and seconds a step."""
    clips = speech.read(None)
    dataset, coded = folder / "dataset", folder / "codes.parquet"
    speech.write_dataset(dataset, train=clips[10:], validation=clips[:10])
    encode(csm_sizes.MICRO, dataset, coded)
    work = Work(folder, csm_sizes.MICRO, dataset, coded, args.steps, 2, args.accumulation)
    found: dict[float, list[dict[str, float]]] = {fraction: [] for fraction in FRACTIONS}
    for seed in range(args.seeds):
        for fraction in FRACTIONS:
            found[fraction].append(learnt(work, fraction, seed))
    print(f"micro CSM, {args.steps} steps, {args.seeds} seeds: mean ± standard deviation")
    names = ("sum before", "final backbone", "final depth", "best sum", "s/step")
    print(f"{'depth fraction':16}" + "".join(f"{name:>20}" for name in names))
    for fraction, runs in found.items():
        shown = [spread([run[name] for run in runs]) for name in names]
        print(f"{fraction:<16.4g}" + "".join(f"{words:>20}" for words in shown))
    return {"steps": args.steps, "seeds": args.seeds, "runs": found}


def learnt(work: Work, fraction: float, seed: int) -> dict[str, float]:
    """One training's validation losses and median seconds a step."""
    output = work.folder / "trained"
    every = max(2, work.steps // 10)
    watched = ("--seed", str(seed), "--eval-every", str(every), "--samples", "0", "--patience", "0")
    execute(work.ours(output, fraction, *watched))
    rows = rows_of(output)
    judged = [row for row in rows if "val_loss" in row]
    lengths = [
        after["seconds"] - before["seconds"]
        for before, after in itertools.pairwise(rows)
        if "val_loss" not in after
    ]
    return {
        "sum before": judged[0]["val_loss"],
        "final backbone": judged[-1]["val_backbone_loss"],
        "final depth": judged[-1]["val_depth_loss"],
        "best sum": min(row["val_loss"] for row in judged),
        "s/step": statistics.median(lengths),
    }


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation, as text."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4f} ± {deviation:.4f}"


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("mode", nargs="?", choices=("speed", "depth"), default="speed", help="what to measure")
    add("--size", choices=csm_sizes.SIZES, default="141m", help="size of the CSM (speed)")
    add("--speech", type=Path, help="recordings with metadata.csv; default: the shipped interview")
    add("--batch-size", type=int, nargs="+", help="default: 2; on a GPU doubled while it fits")
    add("--accumulation", type=int, default=4, help="batches in an optimizer step")
    add("--steps", type=int, help="optimizer steps; default: 3 for speed, 100 for depth")
    add("--rounds", type=int, default=3, help="trainings of every side (speed)")
    add("--seeds", type=int, default=3, help="trainings of every share (depth)")
    add("--json", type=Path, help="write the figures there too")
    return parser


def main() -> None:
    """Measure, print, and write what was measured."""
    args = build_parser().parse_args()
    args.steps = args.steps or (100 if args.mode == "depth" else 3)
    with tempfile.TemporaryDirectory(prefix="vc-bench-") as name:
        mode = depth if args.mode == "depth" else speed
        measured = mode(args, Path(name))
    if args.json:
        files.write_json(args.json, measured)


if __name__ == "__main__":
    main()
