"""Results as Markdown: the goals first, then every section's rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

# Names of rows that goals are read from; the sections write them.
OURS, COMPILED, RECIPE, PLAIN = "ours", "ours, compiled", "public recipe", "transformers + peft"
SPEECH, EAGER, STATIC = "ours", "generate", "generate, static and compiled"


@dataclass(frozen=True)
class Goal:
    """A figure that is to reach ``wanted``, or to stay under it."""

    title: str
    value: float | None
    wanted: float
    at_most: bool = False

    @property
    def shown(self) -> str:
        """The row of the table."""
        if self.value is None:
            return f"| {self.title} | {self._wish} | open | |"
        reached = self.value <= self.wanted if self.at_most else self.value >= self.wanted
        return f"| {self.title} | {self._wish} | {self.value:.3g} | {'yes' if reached else 'no'} |"

    @property
    def _wish(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.wanted:g}"


def markdown(results: dict[str, Any]) -> str:
    """Everything that was measured, as Markdown."""
    sections = results["sections"]
    parts = [f"Measured {results['when']}, {results['scale']} sizes, {results['device']}."]
    found = goals(sections)
    if found:
        head = "| goal | wanted | measured | reached |\n|---|---|---|---|"
        parts.append("\n".join([head, *(goal.shown for goal in found)]))
    for section in sections.values():
        parts.append(f"### {section['title']} ({section['state']}, {section['seconds']:.0f} s)")
        parts.append(rows_table(section["rows"]) if section["rows"] else "Nothing was measured.")
    return "\n\n".join(parts) + "\n"


def goals(sections: dict[str, Any]) -> list[Goal]:
    """The goals of the sections that ran."""
    made: list[Goal] = []
    if "training" in sections:
        rows = sections["training"]["rows"]
        rates = [_figure(rows, name, "frames/s", depth=1) for name in (OURS, COMPILED)]
        recipe = _figure(rows, RECIPE, "frames/s")
        plain = _figure(rows, PLAIN, "frames/s")
        best = max((rate for rate in rates if rate), default=None)
        shares = [_figure(rows, name, "of matrix rate", depth=1) for name in (OURS, COMPILED)]
        share = max((part for part in shares if part), default=None)
        made.append(Goal("training, times the public recipe", _ratio(best, recipe), 3))
        made.append(Goal("training, times transformers + peft", _ratio(best, plain), 1))
        made.append(Goal("training, share of the bf16 matrix rate", share, 0.4))
    if "speech" in sections:
        rows = sections["speech"]["rows"]
        ours = _figure(rows, SPEECH, "frames/s", texts=1)
        eager = _figure(rows, EAGER, "frames/s", texts=1)
        static = _figure(rows, STATIC, "frames/s", texts=1)
        factor = _figure(rows, SPEECH, "real-time factor", texts=1)
        made.append(Goal("speech of one text, times generate", _ratio(ours, eager), 5))
        made.append(Goal("speech of one text, times compiled generate", _ratio(ours, static), 2))
        made.append(Goal("real-time factor of one text", factor, 0.15, at_most=True))
    return made


def rows_table(rows: Sequence[Row]) -> str:
    """One section's rows; columns in the order in which they first come."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_cell(row.get(column)) for column in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _figure(rows: Sequence[Row], name: str, column: str, **where: object) -> float | None:
    for row in rows:
        if row["name"] == name and all(row.get(key) == value for key, value in where.items()):
            value = row.get(column)
            return None if value is None else float(value)
    return None


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return ours / theirs if ours and theirs else None


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value).replace("|", "\\|")
