"""Which clips are learnt from, which only measured.

Whole sources are held out where there are enough of them, because clips of one recording share
room, microphone and mood. With few sources, contiguous stretches of time are held out: that keeps
neighbouring clips together, which a random draw would not.
"""

from collections.abc import Sequence

from vc_core.manifests import Clip

NAMES = ("train", "validation", "test")
ENOUGH_SOURCES = 3

Splits = dict[str, list[Clip]]


def by_source_or_time(clips: Sequence[Clip], validation: float, test: float) -> tuple[Splits, str]:
    """Split clips by shares of their seconds; returns the splits and ``source`` or ``time``.

    A split that is asked for is never empty while there are clips to go round, and training
    keeps at least one clip.
    """
    ordered = sorted(clips, key=lambda clip: (clip.source, clip.start))
    sources = sorted({clip.source for clip in ordered})
    if len(sources) >= ENOUGH_SOURCES:
        blocks = [[clip for clip in ordered if clip.source == name] for name in sources]
        # Small sources are held out first, so that the shares are met closely.
        blocks.sort(key=_seconds, reverse=True)
        how = "source"
    else:
        blocks = [[clip] for clip in ordered]
        how = "time"
    total = _seconds(ordered)
    held: dict[str, list[Clip]] = {name: [] for name in NAMES}
    for name, share in (("test", test), ("validation", validation)):
        while len(blocks) > 1 and share > 0 and _seconds(held[name]) < share * total:
            fits = _seconds(held[name]) + _seconds(blocks[-1]) <= 1.5 * share * total
            if held[name] and not fits:
                break
            held[name] = blocks.pop() + held[name]
    held["train"] = [clip for block in blocks for clip in block]
    return held, how


def _seconds(clips: Sequence[Clip]) -> float:
    return sum(clip.seconds for clip in clips)
