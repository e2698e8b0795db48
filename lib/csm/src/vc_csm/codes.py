"""The file of codes between ``encode`` and ``train``: one row a clip, and whose codes they are."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vc_core import files
from vc_core.errors import InputError
from vc_csm.csm import Utterance

METADATA_KEY = b"vc.codec"


@dataclasses.dataclass(frozen=True)
class CodecInfo:
    """Which codec the codes belong to.

    ``fingerprint`` is mimi.fingerprint; ``codebook_size`` the codes of one codebook;
    ``frame_rate`` is in frames a second, ``sample_rate`` in Hz.
    """

    fingerprint: str
    codebooks: int
    codebook_size: int
    frame_rate: float
    sample_rate: int
    model: str


@dataclasses.dataclass(frozen=True)
class CodedClip(Utterance):
    """A clip's text and codes, with its id and its split (train, validation, test)."""

    clip: str
    split: str


def write(path: Path, clips: Sequence[CodedClip], codec: CodecInfo) -> None:
    """Write parquet, atomically: clip, split, text, num_frames, codes [frames, codebooks]."""
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema(
        {
            "clip": pyarrow.string(),
            "split": pyarrow.string(),
            "text": pyarrow.string(),
            "num_frames": pyarrow.int32(),
            "codes": pyarrow.list_(pyarrow.list_(pyarrow.int16())),
        },
        metadata={METADATA_KEY: json.dumps(dataclasses.asdict(codec))},
    )
    rows = [
        {
            "clip": clip.clip,
            "split": clip.split,
            "text": clip.text,
            "num_frames": len(clip.codes),
            "codes": clip.codes.tolist(),
        }
        for clip in clips
    ]
    with files.atomic(path) as partial:
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), partial)


def read(path: Path) -> tuple[list[CodedClip], CodecInfo]:
    """Read what ``write`` wrote; raises InputError when the file is something else."""
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
        codec = CodecInfo(**json.loads((table.schema.metadata or {})[METADATA_KEY]))
        clips = [
            CodedClip(
                row["text"],
                np.array(row["codes"], dtype=np.int16).reshape(-1, codec.codebooks),
                row["clip"],
                row["split"],
            )
            for row in table.to_pylist()
        ]
    except (pyarrow.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a file of codes ({error}); make it with vc-encode") from None
    return clips, codec
