"""What failed in a run, told to people: by kind where there is much of it, and what to do."""

from collections.abc import Sequence

from vc_core.failures import Failure

# As many of a kind are told with all they say; of more only the kind is, and so many names.
FEW = 3
NAMES = 10


def told(failures: Sequence[Failure]) -> list[str]:
    """A line for each failure, or for each kind of them where there are many of one kind."""
    kinds: dict[tuple[str, str | None], list[Failure]] = {}
    for failure in failures:
        kinds.setdefault((failure.stage, failure.reason), []).append(failure)
    lines = []
    for same in sorted(kinds.values(), key=len, reverse=True):
        if len(same) <= FEW:
            lines += [f"{one.where}: {one.stage}: {one.message}" for one in same]
        else:
            first = same[0]
            what = f"{first.reason} ({first.mend})" if first.reason else f"such as {first.message}"
            lines.append(f"{names([x.where for x in same])}: {len(same)} at {first.stage}: {what}")
    return lines


def how_to_go_on(failures: Sequence[Failure], skip: bool) -> str:
    """What failed in a run, by what to do about it; ``skip``: the next run goes on without."""
    go_on = "Mend them, and run the same command again"
    if skip:
        go_on = (
            "Run the same command again to go on without them, or mend them and have them tried "
            "again by voice-clone retry"
        )
    kinds = {
        f"These sources failed. {go_on}": [x for x in failures if x.source and not x.passing],
        "These met trouble that may pass. Run the same command again": [
            x for x in failures if x.passing
        ],
        "These voices failed. Mend what is said, and run the same command again": [
            x for x in failures if not x.source and not x.passing
        ],
    }
    return "\n".join(
        "\n  ".join([f"{head}:", *told(those)]) for head, those in kinds.items() if those
    )


def names(of: Sequence[str]) -> str:
    """The first ten names, and how many more there are."""
    more = len(of) - NAMES
    return ", ".join(of[:NAMES]) + (f" and {more} more" if more > 0 else "")
