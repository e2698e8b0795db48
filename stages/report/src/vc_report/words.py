"""The words of the page: reasons, figures and formats, in the reader's language."""

import math
from collections.abc import Mapping
from typing import Any

from vc_core.manifests import LedgerRow

MISSING = "–"

REASONS = {
    "kept": "one speaker, clean, with text: it became a clip",
    "silence": "nobody speaks",
    "music": "music without speech",
    "other_speaker": "somebody else speaks",
    "overlap": "two speak at once",
    "uncertain_speaker": "too close to call who speaks",
    "no_words": "speech in which no word was recognised",
    "too_short": "too short for a clip between two pauses",
    "too_long": "no pause within the longest clip",
    "low_similarity": "does not sound like the reference",
    "low_confidence": "the words are not sure enough",
    "low_quality": "too noisy or too damaged to learn from",
    "low_snr": "too much noise beside the speech",
    "low_bandwidth": "the highs are missing, as over a telephone",
    "clipped": "the recording is overdriven",
    "wrong_language": "another language",
    "hallucination": "text that nobody said",
    "captions_differ": "captions say something else than was heard",
    "rate_outlier": "said far faster or slower than this voice speaks",
    "duplicate": "the same recording as another clip",
    "by_hand": "turned down by people",
}

# The scale that a voice's place is on, and the ends of it.
ZERO, ONE, OTHERS = "nearest stock voice", "the speaker's own clips", "other people"
SCALE = f"0 = {ZERO}, 1 = {ONE}"

JUDGES_ONLY = "It judges only: neither clips nor checkpoint were chosen by it."

FIGURES = (
    (
        "place",
        "Place on the scale",
        f"How far the similarity below has come: {SCALE}. Below 0 is less like the speaker than a "
        "voice that nobody had to train.",
    ),
    (
        "similarity",
        "Speaker similarity",
        "Cosine between the speech and the target's own clips, heard by {judge}. Higher is closer; "
        "read it between the floor (other people) and the ceiling (the target).",
    ),
    (
        "training_similarity",
        "Similarity by training's encoder",
        "The same, heard by {training}, which {chose}. That flatters what was trained, so it is "
        "here to compare and not to judge by.",
    ),
    (
        "wer",
        "Word error rate",
        "Words that a transcriber hears otherwise than they were asked for. 0 % is best; above "
        "100 % happens when it hears more words than there are.",
    ),
    (
        "dnsmos",
        "DNSMOS",
        "How clean the speech sounds to a model trained on listeners' votes, 1 (bad) to "
        "5 (excellent).",
    ),
    (
        "stop_rate",
        "Stop rate",
        "How often generation ended by itself and not at the length limit.",
    ),
    (
        "real_time_factor",
        "Real-time factor",
        "Seconds it takes to make a second of speech; below 1 is faster than one can listen.",
    ),
)


def figures(scores: Mapping[str, Any], chose: str) -> list[tuple[str, str, str]]:
    """Name, title and meaning of each figure that scores have, with the encoders named.

    ``chose`` names the encoder that chose the checkpoint, "" for none. Scores of earlier releases
    have one encoder and no scale.
    """
    judge, training = judges(scores)
    named = {
        "judge": judge or "a speaker encoder",
        "training": training,
        "chose": "chose clips and checkpoint" if chose == training else "chose the clips",
    }
    left_out = {name for name, there in (("training_similarity", training),) if not there}
    left_out |= set() if scores.get("scale") else {"place"}
    shown = [
        (name, title, meaning.format_map(named))
        for name, title, meaning in FIGURES
        if name not in left_out
    ]
    return [
        (name, title, f"{meaning} {JUDGES_ONLY}" if training and name == "similarity" else meaning)
        for name, title, meaning in shown
    ]


def judges(scores: Mapping[str, Any]) -> tuple[str, str]:
    """The speaker encoder that judged, and the one that training used; "" where none is told."""
    judge = scores.get("judge_encoder") or scores.get("encoder") or ""
    return str(judge), str(scores.get("training_encoder") or "")


def number(value: Any, digits: int = 2) -> str:
    """A figure for people, or a dash when there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return MISSING
    return f"{value:,.{digits}f}"


def percent(value: Any) -> str:
    """A share as a percentage, or a dash."""
    shown = number(value * 100 if isinstance(value, int | float) else None, 0)
    return shown if shown == MISSING else f"{shown}\N{NO-BREAK SPACE}%"


def clock(seconds: Any) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``, or a dash."""
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return MISSING
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def figure(value: Any, name: str) -> str:
    """One of FIGURES in its own unit."""
    if name in ("wer", "stop_rate"):
        return percent(value)
    return number(value)


def reason(name: str) -> str:
    """``other_speaker`` as people write it."""
    return name.replace("_", " ")


def fate(row: LedgerRow) -> str:
    """The clip of a ledger row, and what was measured of it where it was turned down."""
    measured = [f"{reason(name)} {value:g}" for name, value in (row.figures or {}).items()]
    return ", ".join([row.clip, *measured])
