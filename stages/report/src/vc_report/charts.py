"""Charts as SVG that takes its colours from the page, so that they follow light and dark."""

import math
from collections.abc import Iterable, Mapping, Sequence
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


def similarity_scale(scores: Mapping[str, Any]) -> Markup:
    """Each variant's similarity on one scale, with floor and ceiling marked."""
    shown = [
        (str(told.get("title") or name), float(told["similarity"]), told.get("similarity_ci"))
        for name, told in (scores.get("variants") or {}).items()
        if _finite(told.get("similarity"))
    ]
    bounds = [
        (name, float(scores[name]["similarity"]))
        for name in ("floor", "ceiling")
        if _finite((scores.get(name) or {}).get("similarity"))
    ]
    if not shown:
        return Markup("")
    values = [value for _, value, _ in shown] + [value for _, value in bounds]
    low, high = min(0.0, *values), max(1.0, *values)
    width, left, right, top, gap = 560, 120, 76, 34, 28
    height = top + gap * len(shown) + 22

    def at(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - right)

    parts = []
    if len(bounds) == 2:
        ends = sorted(at(value) for _, value in bounds)
        parts.append(
            Markup('<rect class="between" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>').format(
                ends[0], top - 10, ends[1] - ends[0], gap * len(shown) + 8
            )
        )
    for name, value in bounds:
        parts.append(
            Markup(
                '<line class="bound" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2}"/>'
                '<text x="{0:.1f}" y="{3}" text-anchor="{4}">{5} {6:.2f}</text>'
            ).format(
                at(value), top - 10, height - 24, 14, "end" if name == "floor" else "start",
                name, value,
            )
        )  # fmt: skip
    for row, (label, value, interval) in enumerate(shown):
        y = top + gap * row + 8
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
            ).format(left - 12, y + 4, label, at(value), y, value)
        )
    for tick in ticks(low, high):
        parts.append(
            Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="middle">{:g}</text>').format(
                at(tick), height - 6, tick
            )
        )
    told = "; ".join(f"{label} {value:.2f}" for label, value, _ in shown)
    told += "".join(f"; {name} {value:.2f}" for name, value in bounds)
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="Similarity: {}">{}</svg>'
    ).format(width, height, told, Markup("").join(parts))


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
