"""Turn every clip into what a speaking model learns from, once, instead of at every step.

What that is the family of the base model says: for CSM the codes of its codec. Clips that do not
fit the model are left out, and counted.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vc_core import cli, log, options
from vc_core.audio import TTS_RATE
from vc_core.dataset import SPLITS, DatasetClip, count, read
from vc_core.errors import InputError
from vc_core.speaking import Limits
from vc_encode.options import EncodeOptions

logger = log.get("encode")

SLACK = 0.1  # seconds: a clip that was cut to the limit may be a frame longer when it is read


def build_parser() -> options.Parser:
    """The command's arguments and options."""
    parser = cli.parser("vc-encode", __doc__)
    parser.add_argument("dataset", type=cli.existing, help="the dataset's folder, from vc-dataset")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="what vc-train learns from (parquet)"
    )
    options.add(parser, EncodeOptions)
    return parser


def work(dataset: Path, output: Path, options: EncodeOptions) -> dict[str, Any]:
    """Hand the clips that fit to the base model's family; returns counts."""
    from vc_speech import tts

    model = tts.find(options.base_model, options.family)
    left_out: Counter[str] = Counter()
    clips = fitting(dataset, model.family.limits, left_out)
    figures = dict(model.prepare(clips, options.base_model, output, options.device))
    left_out.update(figures["left_out"])
    counts = figures["clips"]
    logger.info("wrote %s (%d clips)", output, sum(counts.values()))
    return figures | {
        "family": model.family.name,
        "packages": tts.packages(model),
        "clips": {split: counts.get(split, 0) for split in SPLITS},
        "left_out": left_out.total(),
        "left_out_for": dict(left_out),
    }


def fitting(folder: Path, limits: Limits, left_out: Counter[str]) -> Iterator[DatasetClip]:
    """The clips of a dataset that a family can learn from; the others are counted by reason.

    Raises InputError where there is no dataset, or none of its clips fits.
    """
    expected, fit = count(folder), 0
    for clip in log.progress(read(folder), total=expected, desc="encode", unit="clip"):
        reason, said = unfit(clip, limits)
        if reason:
            logger.warning("clip %s is left out: %s", clip.clip, said)
            left_out[reason] += 1
        else:
            fit += 1
            yield clip
    if not fit:
        raise InputError(
            f"{folder}: none of its {expected} clips could be read"
            if left_out["unreadable"] == expected
            else f"{folder}: none of its {expected} clips fits the model; left out: "
            + ", ".join(f"{number} {reason}" for reason, number in left_out.items())
        )


def unfit(clip: DatasetClip, limits: Limits) -> tuple[str, str]:
    """Why a family cannot learn from a clip, as one word and as a sentence; "" where it can."""
    if not len(clip.samples):
        return "unreadable", clip.trouble or "it is empty"
    seconds = len(clip.samples) / TTS_RATE
    if seconds > limits.clip_seconds + SLACK:
        return "too_long", f"{seconds:.1f} s are more than the {limits.clip_seconds:g} s it hears"
    if limits.languages is not None and clip.language and clip.language not in limits.languages:
        known = ", ".join(sorted(limits.languages))
        return "wrong_language", f"the model does not know {clip.language!r}; it knows: {known}"
    return "", ""


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return cli.run(build_parser(), work, argv)
