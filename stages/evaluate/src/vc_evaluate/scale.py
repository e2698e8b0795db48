"""The scale: 0 is the nearest voice that comes with the base model, 1 the speaker's own clips.

A bare cosine says little, because every encoder has a range of its own. Between these two one sees
how much of the way a clone has come: from the best that nobody has to train for to the ceiling.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from vc_core.errors import InputError
from vc_core.speaking import Variant
from vc_evaluate.panel import Likeness
from vc_speech.tts import Request, SpeakingModel

ONE_IS = "the speaker's own held-out clips"


@dataclasses.dataclass(frozen=True)
class Compared:
    """What speaks: the request with its stock voice, the variants, how like each voice is.

    ``ranked`` are the stock voices, the most alike first, {} where none is compared; ``note`` then
    says why.
    """

    request: Request
    variants: Sequence[Variant]
    ranked: Mapping[str, float]
    note: str = ""

    @property
    def zero_is(self) -> str:
        """What stands at 0, in words."""
        return f"the stock voice {self.request.stock_voice}"


def choose(
    model: SpeakingModel, request: Request, variants: Sequence[Variant], judging: Likeness
) -> Compared:
    """Choose the stock voice that the judge ranks highest.

    Without any, variants that would speak with one are left out. Raises InputError when then none
    is left.
    """
    if not any(variant.stock for variant in model.family.variants):
        return Compared(request, variants, {}, f"no voice comes with {model.family.title}")
    if not any(variant.stock for variant in variants):
        return Compared(request, variants, {}, "no stock voice is among the variants that speak")
    ranked = judging.ranked(model.stock(request))
    if ranked:
        return Compared(
            dataclasses.replace(request, stock_voice=next(iter(ranked))), variants, ranked
        )
    why = f"no voice for language {request.language!r} comes with the base model"
    left = [variant for variant in variants if not variant.stock]
    if not left:
        raise InputError(f"{request.base_model}: {why}; let other --variants speak")
    return Compared(request, left, {}, why)


def before(variants: Sequence[Variant]) -> Variant | None:
    """What a clone is compared with in short: the stock voice, or else the first base."""
    bases = [variant for variant in variants if not variant.adapter]
    return next((base for base in bases if base.stock), next(iter(bases), None))


def lay(scores: dict[str, Any], taken: Compared) -> str:
    """Write ``scale`` into the scores, and its ``place`` into each row; returns why there is none.

    The rows are variants, ceiling, floor and copies. ``scale`` is None where no stock voice spoke;
    ``place`` is None there, too, and where the ends of the scale are the wrong way round.
    """
    base, name = before(taken.variants), taken.request.stock_voice
    others = [scores[row] for row in ("ceiling", "floor", "copies") if scores.get(row)]
    rows = [*scores["variants"].values(), *others]
    scores["scale"] = None
    for row in rows:
        row["place"] = None
    if base is None or not base.stock or not name:
        return taken.note or "no stock voice of the base alone is among the variants that speak"
    zero, one = scores["variants"][base.name]["similarity"], scores["ceiling"]["similarity"]
    scores["scale"] = {
        "zero": zero,
        "zero_is": taken.zero_is,
        "one": one,
        "one_is": ONE_IS,
        "stock_voice": name,
        "ranked": {voice: round(value, 4) for voice, value in taken.ranked.items()},
    }
    if one <= zero:
        return (
            f"to the judge the speaker's own clips ({one:.2f}) are no more like the speaker than "
            f"{taken.zero_is} ({zero:.2f})"
        )
    for row in rows:
        row["place"] = round((row["similarity"] - zero) / (one - zero), 3)
    return ""
