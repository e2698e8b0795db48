"""Say a folder of speech in the small codec's codes, once, for the language model to learn.

    python models/mimi-small/encode_clips.py DATA CODEC -o codes.npz

The file holds ``codes`` [frames, codebooks] of all clips behind one another, each clip's number
of ``frames``, and its ``text``, ``speaker`` and ``split``.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import sound
import torch
from transformers import MimiModel

from vc_common import audio, csm, files, mimi
from vc_common.errors import InputError

SHORTEST = 0.5  # seconds


def encode(codec: Any, numbers: sound.Numbers, clips: list[sound.Clip]) -> dict[str, Any]:
    """The arrays of the file. Raises InputError for a codec that can say the closing frame."""
    rows = []
    for done, clip in enumerate(clips):
        samples = sound.samples_of(numbers, clip).astype(np.float32) / sound.SCALE
        codes = mimi.encode(codec, samples)
        if not codes.any(axis=1).all():
            raise InputError(f"{clip.file}: has a frame of zeros, which ends CSM's speech")
        rows.append(codes)
        if done % 1000 == 0:
            print(f"{done} of {len(clips)} clips", flush=True)
    return {
        "codes": np.concatenate(rows),
        "frames": np.array([len(row) for row in rows]),
        "text": np.array([clip.text for clip in clips]),
        "speaker": np.array([clip.speaker for clip in clips]),
        "split": np.array([clip.split for clip in clips]),
    }


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path, help="folder with metadata.jsonl and its sound")
    parser.add_argument("codec", type=Path, help="folder of a MimiModel")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .npz to write")
    parser.add_argument("--cache", type=Path, required=True, help="where the samples are decoded")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(argv)
    torch.backends.cudnn.allow_tf32 = False  # what is heard in less than float32 are other codes
    numbers, clips = sound.open_cache(args.data, args.cache)
    fitting = [
        clip for clip in clips if SHORTEST <= clip.length / audio.TTS_RATE <= csm.MAX_SECONDS
    ]
    codec = MimiModel.from_pretrained(args.codec, dtype=torch.float32).eval().to(args.device)
    arrays = encode(codec, numbers, fitting)
    with files.atomic(args.output) as partial:
        np.savez_compressed(partial, **arrays)
    print(
        f"{args.output}: {len(fitting)} of {len(clips)} clips, {len(arrays['codes'])} frames, "
        f"{args.output.stat().st_size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
