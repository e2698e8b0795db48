"""Measure what the project costs on a GPU: sections in turn, each within a time of its own.

    benchmarks/gpu/run                          # ten minutes at most
    benchmarks/gpu/run --sections training speech
    benchmarks/gpu/run --scale toy --device cpu # a rehearsal: the same code, made small

Every section is a process. What it measured before it failed or ran out of time is kept. The
output folder gets results.json, table.md and a log of each section. Weights are random ones of
the real shape, made here: how long a step takes does not depend on what a model has learnt.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu import table
from gpu.bench import SCALES

BENCHMARKS = Path(__file__).parents[1]
LEAST = 5.0  # seconds: a section with less time left is not begun


@dataclass(frozen=True)
class Section:
    """A module with a function ``measure``, what it tells, and the seconds it may take."""

    module: str
    title: str
    seconds: float


SECTIONS = {
    "environment": Section("gpu.environment", "The machine", 30),
    "card": Section("gpu.card", "What the device does at most", 30),
    "training": Section("gpu.training", "Training CSM", 170),
    "speech": Section("gpu.speaking", "CSM's speech", 150),
    "presets": Section("gpu.presets", "Presets within a smaller card's memory", 90),
    "tests": Section("gpu.gpu_tests", "The tests marked gpu", 150),
    "unsloth": Section("gpu.unsloth_steps", "Training CSM by Unsloth", 70),
    "engines": Section("gpu.engines_in_half", "Demucs and Whisper in fp16", 90),
    "profile": Section("gpu.profile_steps", "Where the time goes", 120),
}
USUAL = [name for name in SECTIONS if name != "profile"]


def run_section(
    name: str, seconds: float, args: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    """One section's state, time and rows, as results.json holds them."""
    section = SECTIONS[name]
    rows = folder / f"{name}.jsonl"
    command = [
        *(sys.executable, "-m", "gpu.section", section.module, "--scale", args.scale),
        *("--device", args.device, "--folder", str(folder), "--rows", str(rows)),
    ]
    started = time.perf_counter()
    with (args.output / f"{name}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=BENCHMARKS, start_new_session=True
        )
        try:
            code = process.wait(seconds)
            state = "done" if code == 0 else f"failed with {code}; see {name}.log"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            state = f"cut off after {seconds:.0f} s"
        except BaseException:  # in a session of its own, no Ctrl-C reaches it
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    took = time.perf_counter() - started
    lines = rows.read_text("utf-8").splitlines() if rows.is_file() else []
    return {
        "title": section.title,
        "state": state,
        "seconds": round(took, 1),
        "rows": [json.loads(line) for line in lines],
    }


def run(args: argparse.Namespace) -> dict[str, Any]:
    """All sections that were asked for; results.json is written anew after each of them."""
    args.output.mkdir(parents=True, exist_ok=True)
    ends = time.perf_counter() + 60 * args.minutes
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    results: dict[str, Any] = {
        "when": now,
        "scale": args.scale,
        "device": args.device,
        "sections": {},
    }
    with tempfile.TemporaryDirectory(prefix="vc-gpu-") as name:
        for section in args.sections:
            left = ends - time.perf_counter()
            limit = min(SECTIONS[section].seconds, left)
            print(f"{section} ({limit:.0f} s at most)", flush=True)
            found: dict[str, Any] = {"title": SECTIONS[section].title, "seconds": 0.0, "rows": []}
            if left < LEAST:
                found["state"] = "no time was left"
            else:
                found = run_section(section, limit, args, Path(name))
            results["sections"][section] = found
            print(f"  {found['state']}, {found['seconds']} s", flush=True)
            (args.output / "results.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return results


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/gpu/run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--sections", nargs="+", choices=SECTIONS, default=USUAL, help=f"default: {' '.join(USUAL)}"
    )
    add("--scale", choices=SCALES, default="real", help="real sizes, or toys")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="where to measure")
    add("--minutes", type=float, default=10.0, help="the whole takes no longer; default: 10")
    add("-o", "--output", type=Path, default=Path("gpu-results"), help="folder of the results")
    return parser


def main() -> int:
    """Measure, write, print the table; 1 when a section failed or was cut off."""
    args = build_parser().parse_args()
    if args.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            said = "no CUDA device here; use --device cpu --scale toy to rehearse"
            print(f"benchmarks/gpu/run: {said}", file=sys.stderr)
            return 1
    results = run(args)
    text = table.markdown(results)
    (args.output / "table.md").write_text(text, "utf-8")
    print("\n" + text)
    return 0 if all(found["state"] == "done" for found in results["sections"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
