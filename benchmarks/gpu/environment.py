"""The machine: its card, driver and versions, and which packages of ours it lacks."""

import importlib.util
import os
import platform
import subprocess
from importlib import metadata

from gpu.bench import Bench

PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "demucs", "bitsandbytes")
ENGINES = ("unsloth", "faster_whisper", "ctranslate2")
QUERY = "name,driver_version,memory.total,power.limit,clocks.max.sm"


def measure(bench: Bench) -> None:
    """Rows of names and versions."""
    import torch

    bench.row("python", value=platform.python_version())
    bench.row("CPU cores", value=os.cpu_count())
    for name in (*PACKAGES, *ENGINES):
        try:
            bench.row(name, value=metadata.version(name.replace("_", "-")))
        except metadata.PackageNotFoundError:
            bench.row(name, value="present" if importlib.util.find_spec(name) else "missing")
    if not bench.cuda:
        bench.row("device", value="CPU")
        return
    card = torch.cuda.get_device_properties(0)
    bench.row("device", value=card.name)
    bench.row("CUDA of torch", value=torch.version.cuda)
    bench.row("multiprocessors", value=card.multi_processor_count)
    bench.row("memory, GiB", value=round(card.total_memory / 2**30, 1))
    with bench.attempt("nvidia-smi"):
        told = subprocess.run(
            ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"],
            check=True,
            capture_output=True,
            text=True,
            timeout=20,
        )
        bench.row("nvidia-smi", value=told.stdout.strip())
