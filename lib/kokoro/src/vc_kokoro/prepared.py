"""The file between ``encode`` and ``train``: one row a clip, on Kokoro's frames."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from vc_core import audio, files
from vc_core.audio import TTS_RATE
from vc_core.errors import InputError
from vc_kokoro.align import Aligned
from vc_kokoro.network import HOP, Prosody

METADATA_KEY = b"vc.kokoro"


@dataclasses.dataclass(frozen=True)
class Info:
    """What the clips were aligned with.

    ``fingerprint`` is the base's, ``model`` its name; ``f0`` the speaker's median in Hz.
    """

    fingerprint: str
    model: str
    language: str
    f0: float


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip: its id, split, text, phonemes, and how it is aligned with them."""

    clip: str
    split: str
    text: str
    phonemes: str
    aligned: Aligned


def write(path: Path, clips: Sequence[Clip], info: Info) -> None:
    """Write parquet, atomically."""
    import pyarrow
    from pyarrow import parquet

    text, numbers = pyarrow.string(), pyarrow.list_(pyarrow.float32())
    schema = pyarrow.schema(
        {
            **{"clip": text, "split": text, "text": text, "phonemes": text},
            **{"frames": pyarrow.list_(pyarrow.int16()), "f0": numbers, "energy": numbers},
            **{"cost": pyarrow.float32(), "stretch": pyarrow.float32()},
            "audio": pyarrow.binary(),
        },
        metadata={METADATA_KEY: json.dumps(dataclasses.asdict(info))},
    )
    with files.atomic(path) as partial:
        parquet.write_table(
            pyarrow.Table.from_pylist([_row(one) for one in clips], schema), partial
        )


def read(path: Path) -> tuple[list[Clip], Info]:
    """Read what ``write`` wrote; raises InputError when the file is something else."""
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
        info = Info(**json.loads((table.schema.metadata or {})[METADATA_KEY]))
        clips = [_clip(row) for row in table.to_pylist()]
    except (pyarrow.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not a file of aligned clips ({error}); make it with vc-encode and the same "
            "base model"
        ) from None
    return clips, info


def _row(clip: Clip) -> dict[str, object]:
    flac = io.BytesIO()
    samples = clip.aligned.samples.numpy()
    soundfile.write(flac, np.clip(samples, -1, 1), TTS_RATE, format="FLAC", subtype="PCM_24")
    prosody = clip.aligned.prosody
    return {
        **{"clip": clip.clip, "split": clip.split, "text": clip.text, "phonemes": clip.phonemes},
        "frames": prosody.frames.tolist(),
        "f0": prosody.f0[0].tolist(),
        "energy": prosody.energy[0].tolist(),
        "cost": clip.aligned.cost,
        "stretch": clip.aligned.stretch,
        "audio": flac.getvalue(),
    }


def _clip(row: dict[str, object]) -> Clip:
    frames = torch.tensor(row["frames"], dtype=torch.long)
    curves = [torch.tensor([row[name]], dtype=torch.float32) for name in ("f0", "energy")]
    samples = torch.from_numpy(audio.decode(row["audio"], TTS_RATE))  # type: ignore[arg-type]
    if len(samples) != HOP * int(frames.sum()) or len(curves[0][0]) != 2 * int(frames.sum()):
        raise ValueError(f"clip {row['clip']}: its sound and its frames do not fit")
    told: Any = row
    aligned = Aligned(samples, Prosody(frames, *curves), told["cost"], told["stretch"])
    return Clip(told["clip"], told["split"], told["text"], told["phonemes"], aligned)
