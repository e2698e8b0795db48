"""Charts as SVG that takes its colours from the page, so that they follow light and dark."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from vc_core.manifests import LedgerRow
from vc_report import words

LINE_SECONDS = (30, 60, 120, 300, 600, 1800, 3600)  # what one line of a timeline may cover
MOST_LINES = 8

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a timeline: from ``start`` s on, an SVG whose unit of width is the second."""

    start: float
    svg: Markup


def timeline(rows: Sequence[LedgerRow]) -> list[Line]:
    """A source's ledger, wrapped into lines of equal length."""
    end = rows[-1].end if rows else 0.0
    length = next((x for x in LINE_SECONDS if end <= x * MOST_LINES), LINE_SECONDS[-1])
    lines = []
    for number in range(math.ceil(end / length)):
        start = number * length
        marks = Markup("").join(
            _mark(row, max(row.start, start), min(row.end, start + length), start)
            for row in rows
            if row.start < start + length and row.end > start
        )
        svg = Markup(
            '<svg class="strip" viewBox="0 0 {} 10" preserveAspectRatio="none" role="img" '
            'aria-label="{} to {}">{}</svg>'
        ).format(length, words.clock(start), words.clock(min(end, start + length)), marks)
        lines.append(Line(start, svg))
    return lines


def _mark(row: LedgerRow, first: float, last: float, origin: float) -> Markup:
    name = "kept" if row.kept else row.reason
    told = words.reason(name) + (f" ({words.fate(row)})" if row.clip else "")
    return Markup(
        '<rect class="r-{}" x="{}" width="{}" height="10"><title>{:.2f}–{:.2f} s: {}</title></rect>'
    ).format(name, round(first - origin, 6), round(last - first, 6), row.start, row.end, told)


def loss_curve(rows: Iterable[Mapping[str, Any]]) -> Markup:
    """Training and validation loss over steps; empty when fewer than two steps have a loss."""
    rows = list(rows)
    train, validation = _series(rows, "loss"), _series(rows, "val_loss")
    if len(train) < 2:
        return Markup("")
    width, height, left, right, top, bottom = 560, 260, 48, 12, 12, 40
    steps = [x for x, _ in train + validation]
    losses = [y for _, y in train + validation]
    low, high = min(losses), max(losses)
    margin = (high - low) * 0.08 or 0.5
    low, high = max(low - margin, 0.0), high + margin
    first, last = min(steps), max(*steps, min(steps) + 1)

    def at(point: Point) -> Point:
        x = left + (point[0] - first) / (last - first) * (width - left - right)
        return x, top + (high - point[1]) / (high - low) * (height - top - bottom)

    parts = []
    for tick in ticks(low, high):
        _, y = at((first, tick))
        parts.append(
            Markup(
                '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>'
                '<text x="{3}" y="{4:.1f}" text-anchor="end">{5:g}</text>'
            ).format(left, width - right, y, left - 6, y + 4, tick)
        )
    for tick in ticks(first, last):
        if tick == int(tick):
            x, _ = at((tick, low))
            parts.append(
                Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{:g}</text>').format(
                    x, height - bottom + 18, tick
                )
            )
    parts.append(
        Markup('<text x="{}" y="{}" text-anchor="middle">step</text>').format(
            (left + width - right) / 2, height - 4
        )
    )
    parts.append(_path([at(point) for point in train], "line-train"))
    parts.append(_path([at(point) for point in validation], "line-validation"))
    for point in validation:
        x, y = at(point)
        parts.append(
            Markup(
                '<circle class="dot-validation" cx="{:.1f}" cy="{:.1f}" r="3.5">'
                "<title>step {:g}: validation loss {:.3f}</title></circle>"
            ).format(x, y, *point)
        )
    told = f"Training loss from {train[0][1]:.3f} to {train[-1][1]:.3f}"
    if validation:
        told += f", validation loss from {validation[0][1]:.3f} to {validation[-1][1]:.3f}"
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(width, height, told, Markup("").join(parts))


SCALE_WIDTH, SCALE_LEFT, SCALE_RIGHT = 600, 170, 76
BOUND_LINE, VARIANT_LINE = 17, 28  # heights of a line of text


def similarity_scale(scores: Mapping[str, Any]) -> Markup:
    """Each variant's similarity on one axis, with the ends of the scale, or floor and ceiling.

    Where there is a scale, each variant's place on it stands at the right.
    """
    rows = [
        *(scores.get("variants") or {}).items(),
        ("Copies of the clips", scores.get("copies") or {}),
    ]
    shown = [
        (str(told.get("title") or name), told)
        for name, told in rows
        if _finite(told.get("similarity"))
    ]
    if not shown:
        return Markup("")
    bounds = _bounds(scores)
    values = [float(told["similarity"]) for _, told in shown] + [value for _, value in bounds]
    low, high = min(0.0, *values), max(1.0, *values)
    top = BOUND_LINE * len(bounds) + 18
    height = top + VARIANT_LINE * len(shown) + 22

    def at(value: float) -> float:
        return SCALE_LEFT + (value - low) / (high - low) * (SCALE_WIDTH - SCALE_LEFT - SCALE_RIGHT)

    parts = []
    if len(bounds) > 1:
        first, last = sorted(at(value) for _, value in bounds[:2])
        parts.append(
            Markup('<rect class="between" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>').format(
                first, top - 10, last - first, VARIANT_LINE * len(shown) + 8
            )
        )
    for row, (name, value) in enumerate(bounds):
        parts.append(_bound(f"{name} {value:.2f}", at(value), BOUND_LINE * row + 14, height - 24))
    for row, (label, told) in enumerate(shown):
        parts.append(_variant(label, told, at, top + VARIANT_LINE * row + 8))
    if any(_finite(told.get("place")) for _, told in shown):
        parts.append(_at_the_right("place", top - 14))
    for tick in ticks(low, high):
        parts.append(
            Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{:g}</text>').format(
                at(tick), height - 6, tick
            )
        )
    said = "; ".join(f"{label} {told['similarity']:.2f}" for label, told in shown)
    said += "".join(f"; {name} {value:.2f}" for name, value in bounds)
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="Similarity: {}">{}</svg>'
    ).format(SCALE_WIDTH, height, said, Markup("").join(parts))


def _variant(label: str, told: Mapping[str, Any], at: Callable[[float], float], y: float) -> Markup:
    """One row: the label, a dot with its interval, the place where there is one."""
    value, interval, place = (told.get(x) for x in ("similarity", "similarity_ci", "place"))
    parts = []
    if interval:
        parts.append(
            Markup('<line class="whisker" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>').format(
                at(interval[0]), at(interval[1]), y, y
            )
        )
    parts.append(
        Markup(
            '<text x="{0}" y="{1}" text-anchor="end">{2}</text>'
            '<circle class="dot" cx="{3:.1f}" cy="{4}" r="6"><title>{2}: {5:.3f}</title>'
            "</circle>"
        ).format(SCALE_LEFT - 12, y + 4, label, at(float(value or 0)), y, value)
    )
    if _finite(place):
        parts.append(_at_the_right(f"{place:.2f}", y + 4))
    return Markup("").join(parts)


def _bound(label: str, x: float, y: float, bottom: float) -> Markup:
    """A line down from its label, which stands on whichever side has more room."""
    right = x > SCALE_WIDTH / 2
    return Markup(
        '<line class="bound" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
        '<text x="{3:.1f}" y="{4}" text-anchor="{5}">{6}</text>'
    ).format(x, y - 10, bottom, x - 6 if right else x + 6, y, "end" if right else "start", label)


def _at_the_right(text: str, y: float) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
        SCALE_WIDTH - 4, y, text
    )


def _bounds(scores: Mapping[str, Any]) -> list[tuple[str, float]]:
    """What is marked beside the variants: the two ends first, then what lies beneath."""
    scale = scores.get("scale") or {}
    ceiling, floor = ((scores.get(name) or {}).get("similarity") for name in ("ceiling", "floor"))
    found: list[tuple[str, Any]] = [
        (f"1 = {words.ONE}" if scale else f"ceiling: {words.ONE}", ceiling),
        (f"0 = {words.ZERO}", scale.get("zero")),
        (f"floor: {words.OTHERS}", floor),
    ]
    return [(name, float(value)) for name, value in found if _finite(value)]


def ticks(low: float, high: float) -> list[float]:
    """Three to seven round numbers within [low, high]."""
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(power * f for f in (1, 2, 2.5, 5, 10) if (high - low) / (power * f) <= 6)
    return [round(step * k, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> list[Point]:
    return [
        (float(row["step"]), float(row[name]))
        for row in rows
        if _finite(row.get("step")) and _finite(row.get(name))
    ]


def _path(points: Sequence[Point], name: str) -> Markup:
    if len(points) < 2:
        return Markup("")
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup('<polyline class="{}" points="{}"/>').format(name, drawn)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
