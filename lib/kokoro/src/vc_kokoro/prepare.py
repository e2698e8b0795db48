"""From a dataset's clips to what Kokoro learns from: phonemes with their times, F0 and energy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from vc_core import audio, devices, log
from vc_core.audio import TTS_RATE
from vc_core.dataset import DatasetClip
from vc_core.errors import InputError
from vc_kokoro import features, phonemes, prepared, stock, weights
from vc_kokoro.align import Aligner
from vc_kokoro.prepared import Clip
from vc_kokoro.threads import at_once

logger = log.get("encode")

TRAIN_SECONDS = 240.0  # of the train split: more takes time and gains little
SILENT_DB = -55.0
# Clips that do not say their text: their cepstra lie far from the rendering's, or they take a
# very different time for it than the speaker's other clips.
COST_OVER, STRETCH_OVER = 1.25, 1.6  # of the medians


def write_aligned(
    clips: Iterable[DatasetClip], base_model: str, output: Path, device: str
) -> dict[str, Any]:
    """Align clip by clip, leave out those that do not fit, write parquet; returns figures.

    Raises InputError when no clip is left, or the clips are of several languages.
    """
    place = devices.choose(device)
    base = weights.load(base_model, place)
    left_out: Counter[str] = Counter()
    kept = list(_usable(clips, left_out))
    if not kept:
        raise InputError(f"base model {base_model!r}: no clip fits it; see the warnings above")
    language = _language(kept)
    phonemes.check(language)
    median = _median_f0(kept)
    aligner = Aligner(base.network, stock.known(base, language, median))

    def aligned(clip: DatasetClip) -> Clip:
        said = phonemes.of(clip.text, language)
        found = aligner.align(said, clip.samples)
        return Clip(clip.clip, clip.split, clip.text, said, found)

    with ThreadPoolExecutor(at_once(place)) as pool:
        made = list(
            log.progress(pool.map(aligned, kept), total=len(kept), desc="align", unit="clip")
        )
    fitting = _well_aligned(made, left_out)
    if not any(clip.split == "train" for clip in fitting):
        raise InputError(
            f"no clip to learn from: of {len(made)} none is aligned with its text; see the "
            "warnings above"
        )
    info = prepared.Info(weights.fingerprint(base), base_model, language, round(median, 2))
    prepared.write(output, fitting, info)
    return {
        "device": place,
        "clips": Counter(clip.split for clip in fitting),
        "left_out": left_out,
        "seconds": round(sum(len(clip.aligned.samples) for clip in fitting) / TTS_RATE, 1),
        "f0": info.f0,
        "cost": round(float(np.median([clip.aligned.cost for clip in fitting])), 3),
    }


def _usable(clips: Iterable[DatasetClip], left_out: Counter[str]) -> Iterable[DatasetClip]:
    """The clips with speech in them, as many as are worth their time."""
    seconds = 0.0
    for clip in clips:
        if audio.rms_db(clip.samples) < SILENT_DB:
            logger.warning("clip %s is left out: it is silent", clip.clip)
            left_out["silent"] += 1
        elif not any(letter.isalnum() for letter in clip.text):
            logger.warning("clip %s is left out: it has no words", clip.clip)
            left_out["no_words"] += 1
        elif clip.split == "train" and seconds > TRAIN_SECONDS:
            left_out["enough"] += 1
        else:
            seconds += len(clip.samples) / TTS_RATE if clip.split == "train" else 0.0
            yield clip


def _language(clips: list[DatasetClip]) -> str:
    found = Counter(clip.language or "en" for clip in clips)
    if len(found) > 1:
        listed = ", ".join(sorted(found))
        raise InputError(f"the clips are in several languages ({listed}); give those of one")
    return next(iter(found))


def _median_f0(clips: list[DatasetClip]) -> float:
    """Median F0 in Hz over the clips."""
    curves = np.concatenate([features.f0(clip.samples) for clip in clips])
    voiced = curves[curves > 0]
    if not len(voiced):
        raise InputError("no clip has a voice in it; look at what was extracted")
    return float(np.median(voiced))


def _well_aligned(clips: list[Clip], left_out: Counter[str]) -> list[Clip]:
    cost = float(np.median([clip.aligned.cost for clip in clips]))
    stretch = float(np.median([clip.aligned.stretch for clip in clips]))
    fitting = []
    for clip in clips:
        ratio = clip.aligned.stretch / stretch
        if clip.aligned.cost > COST_OVER * cost or not 1 / STRETCH_OVER < ratio < STRETCH_OVER:
            logger.warning(
                "clip %s is left out: it does not seem to say %r (cost %.2f, usual %.2f; %.2f "
                "times the usual length)",
                *(clip.clip, clip.text, clip.aligned.cost, cost, ratio),
            )
            left_out["badly_aligned"] += 1
        else:
            fitting.append(clip)
    return fitting
