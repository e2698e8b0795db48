"""Where engines compute: on the CPU, or on a GPU that the engine's own library sees."""

from collections.abc import Callable

from vc_core.errors import InputError


def torch_sees() -> int:
    """How many CUDA devices torch sees."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def choose(wanted: str, sees: Callable[[], int] = torch_sees) -> str:
    """``cpu`` or ``cuda``; ``auto`` becomes cuda where there is one.

    ``sees`` counts the devices that the engine can use. Raises InputError for cuda where there is
    none.
    """
    if wanted == "cpu":
        return wanted
    there = sees() > 0
    if wanted == "cuda" and not there:
        raise InputError("--device cuda: no CUDA device here; use --device cpu or auto")
    return "cuda" if there else "cpu"
