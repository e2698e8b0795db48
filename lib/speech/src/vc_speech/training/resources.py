"""Time as people say it, and memory that does not suffice."""

import torch


def span(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the CPU's allocator, said that it has no more."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
