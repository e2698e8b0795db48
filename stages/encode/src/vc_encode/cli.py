"""Turn every clip into its codec's codes, once, so that training need not do it at every step."""

import argparse
from pathlib import Path
from typing import Any

from vc_core import cli, log

logger = log.get("encode")


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.parser("vc-encode", __doc__)
    parser.add_argument("dataset", type=cli.existing, help="the dataset's folder, from vc-dataset")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the codes (parquet)")
    parser.add_argument(
        "--base-model", required=True, help="CSM whose codec encodes: folder or Hub id"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where")
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Encode clip by clip; returns counts."""
    from vc_core import audio
    from vc_core.errors import InputError
    from vc_csm import codes, mimi
    from vc_encode import clips

    expected = clips.count(args.dataset)
    codec = mimi.load(args.base_model, args.device)
    coded: list[codes.CodedClip] = []
    troubled = 0
    sounding = clips.read(args.dataset)
    for clip in log.progress(sounding, total=expected, desc="encode", unit="clip"):
        if not len(clip.samples):
            logger.warning("clip %s is left out: %s", clip.clip, clip.trouble or "it is empty")
            troubled += 1
            continue
        numbers = mimi.encode(codec, clip.samples)
        coded.append(codes.CodedClip(clip.text, numbers, clip.clip, clip.split))
    if not coded:
        raise InputError(f"{args.dataset}: none of its {expected} clips could be read")
    info = codes.CodecInfo(
        fingerprint=mimi.fingerprint(codec),
        codebooks=codec.config.num_quantizers,
        codebook_size=codec.config.codebook_size,
        frame_rate=float(codec.config.frame_rate),
        sample_rate=audio.TTS_RATE,
        model=args.base_model,
    )
    codes.write(args.output, coded, info)
    frames = sum(len(clip.codes) for clip in coded)
    logger.info("wrote %s (%d clips, %d frames)", args.output, len(coded), frames)
    return {
        "device": str(codec.device),
        "clips": {split: sum(clip.split == split for clip in coded) for split in clips.SPLITS},
        "left_out": troubled,
        "frames": frames,
        "seconds": round(frames / info.frame_rate, 1),
        "codec": info.fingerprint,
    }


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
