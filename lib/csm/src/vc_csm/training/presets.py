"""What fits into a GPU: how large a batch, in which precision, quantised or not.

A preset never changes what is learnt from: the clips of a step stay BATCH_SIZE times
GRADIENT_ACCUMULATION, it only says into how many batches they are cut. On an H100 held to each
card's memory, with random weights of CSM-1B's shape and the usual quarter of the depth frames, 32
clips of 10 s took at most 20.0 GB, 24 took 16.0, 8 took 8.1, and 2 with gradient checkpointing 4.2:
3.9 GB, and half a GB a clip; 64 at once were not run. The estimate before the first step says what
a run really takes, and a batch that does not fit is halved.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """``longest_clips`` of 10 s go into one batch; more of shorter ones."""

    name: str
    memory_gb: float
    longest_clips: int
    quantize: str
    gradient_checkpointing: bool
    optimizer: str


PRESETS = (
    Preset("6gb", 6, 2, "none", True, "adamw8bit"),
    Preset("12gb", 12, 8, "none", False, "adamw"),
    Preset("24gb", 24, 24, "none", False, "adamw"),
    Preset("80gb", 80, 64, "none", False, "adamw"),
)


def choose(wanted: str, memory_gb: float | None) -> Preset | None:
    """The preset of a name, or for ``auto`` the largest that the GPU's memory holds.

    None for ``none``, and for ``auto`` where there is no GPU (``memory_gb`` is None).
    """
    if wanted == "none" or (wanted == "auto" and memory_gb is None):
        return None
    if wanted != "auto":
        return next(preset for preset in PRESETS if preset.name == wanted)
    # A card sold as 24 GB shows a little less.
    fitting = [preset for preset in PRESETS if preset.memory_gb * 0.9 <= (memory_gb or 0)]
    return fitting[-1] if fitting else PRESETS[0]
