"""From a dataset's clips to what CSM learns from: the codes of its codec."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vc_core import audio, log
from vc_core.dataset import DatasetClip
from vc_core.errors import InputError
from vc_csm import codes, csm, mimi

logger = log.get("encode")


def write_codes(
    clips: Iterable[DatasetClip], base_model: str, output: Path, device: str
) -> dict[str, Any]:
    """Encode clip by clip, leave out those that do not fit the model's positions, write parquet.

    Returns figures. Raises InputError when no clip is left.
    """
    codec = mimi.load(base_model, device)
    processor, positions = csm.load_processor(base_model), csm.positions_of(base_model)
    coded: list[codes.CodedClip] = []
    left_out: Counter[str] = Counter()
    for clip in clips:
        one = codes.CodedClip(clip.text, mimi.encode(codec, clip.samples), clip.clip, clip.split)
        taken = csm.positions(processor, one)
        if taken > positions:
            logger.warning(
                "clip %s is left out: it takes %d of the model's %d positions",
                *(clip.clip, taken, positions),
            )
            left_out["too_long"] += 1
            continue
        coded.append(one)
    if not coded:
        raise InputError(f"base model {base_model!r}: no clip fits it; see the warnings above")
    info = codes.CodecInfo(
        fingerprint=mimi.fingerprint(codec),
        codebooks=codec.config.num_quantizers,
        codebook_size=codec.config.codebook_size,
        frame_rate=float(codec.config.frame_rate),
        sample_rate=audio.TTS_RATE,
        model=base_model,
    )
    codes.write(output, coded, info)
    frames = sum(len(clip.codes) for clip in coded)
    return {
        "device": str(codec.device),
        "clips": Counter(clip.split for clip in coded),
        "left_out": left_out,
        "frames": frames,
        "seconds": round(frames / info.frame_rate, 1),
        "codec": info.fingerprint,
    }
