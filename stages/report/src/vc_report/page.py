"""From the tree to the page: what to show of a voice, in the template's words."""

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import jinja2

from vc_core.manifests import spread
from vc_report import charts, failures, players, words
from vc_report.tree import Run, Voice

COPIES = "Copies"
MANY = 10  # failures; of more than these only the kinds are told at first sight


def render(run: Run, clips_per_voice: int) -> tuple[str, int]:
    """The page as HTML, and how many players it holds."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vc_report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        number=words.number,
        percent=words.percent,
        clock=words.clock,
        figure=words.figure,
        reason=words.reason,
        where=failures.where,
        said=failures.said,
        advice=failures.advice,
    )
    environment.globals.update(
        audio=players.data_uri, web=_web, scale=words.SCALE, reasons=words.REASONS
    )
    failed = [failure for voice in run.voices for failure in voice.all_failures()]
    html = environment.get_template("report.html.j2").render(
        run=run,
        voices=[_voice(voice, run, clips_per_voice) for voice in run.voices],
        failures=failed,
        kinds=failures.kinds(failed) if len(failed) > MANY else [],
        unfinished=_unfinished(run),
        notices=_notices(run),
        versions=_versions(run.records),
        made=time.strftime("%Y-%m-%d %H:%M %Z"),
    )
    return html, html.count("<audio ")


def _voice(voice: Voice, run: Run, clips_per_voice: int) -> dict[str, Any]:
    # The speaker encoder that chose the checkpoint, "" where none did.
    chose = str(voice.training_facts.get("encoder") or "")
    return {
        "voice": voice,
        "family": voice.training_facts.get("family_title") or "",
        "base_model": _base_model(voice, run),
        "summary": _summary(voice.scores),
        "titles": _titles(voice.scores),
        "timelines": [
            (source, charts.timeline(source.rows)) for source in voice.sources if source.rows
        ],
        "reasons": voice.by_reason(),
        "clips": spread(voice.clips, clips_per_voice),
        "loss_curve": charts.loss_curve(voice.training),
        "training": _training(voice),
        "hear": _hear(voice),
        "chart": charts.similarity_scale(voice.scores or {}),
        "scale": (voice.scores or {}).get("scale") or {},
        "gain": _gain(voice.scores),
        "judges": words.judges(voice.scores or {}),
        "columns": _columns(voice.scores),
        "chose": chose,
        "figures": words.figures(voice.scores or {}, chose),
        "before_after": _before_after(voice),
        "speech": [
            {**row, "path": voice.folder / "speech" / str(row.get("file", ""))}
            for row in voice.speech
        ],
        "facts": {
            name: value
            for name, value in voice.reference_facts.items()
            if isinstance(value, str | int | float) and not isinstance(value, bool)
        },
    }


def _base_model(voice: Voice, run: Run) -> str:
    """The base that this voice's adapter was trained on, or the configured one."""
    told = voice.training_facts.get("base_model")
    return str(told or (run.config.get("models") or {}).get("tts") or "")


def _notices(run: Run) -> list[str]:
    """What people are to be told of the speaking models, each once."""
    told = [voice.training_facts.get("notice") for voice in run.voices]
    return list(dict.fromkeys(str(notice) for notice in told if notice))


def _titles(scores: Mapping[str, Any] | None) -> dict[str, str]:
    """What people call each variant, by its name."""
    variants = (scores or {}).get("variants") or {}
    return {name: str(told.get("title") or name) for name, told in variants.items()}


def _compared(scores: Mapping[str, Any]) -> tuple[str, str]:
    """Names of the variants that are compared in short, "" for one that there is not.

    Scores that do not say are taken to begin with the base and to end with what was learnt.
    """
    if "after" in scores:
        return str(scores.get("before") or ""), str(scores["after"] or "")
    names = list(scores.get("variants") or {})
    return (names[0] if len(names) > 1 else ""), (names[-1] if names else "")


def _summary(scores: Mapping[str, Any] | None) -> dict[str, Any]:
    """Before, after, floor and ceiling, each a dict of figures (empty when not there)."""
    scores = scores or {}
    variants = scores.get("variants") or {}
    before, after = _compared(scores)
    return {
        "before": variants.get(before) or {},
        "after": variants.get(after) or {},
        "title": _titles(scores).get(after, after),
        "floor": scores.get("floor") or {},
        "ceiling": scores.get("ceiling") or {},
    }


def _gain(scores: Mapping[str, Any] | None) -> float | None:
    """How far training comes on the way from floor to ceiling: 0 at the floor, 1 at the ceiling.

    Where there is a better scale, that is told instead: then this is None.
    """
    if (scores or {}).get("scale"):
        return None
    told = _summary(scores)
    after, floor, ceiling = (told[x].get("similarity") for x in ("after", "floor", "ceiling"))
    if None in (after, floor, ceiling) or ceiling <= floor:
        return None
    return float((after - floor) / (ceiling - floor))


def _columns(scores: Mapping[str, Any] | None) -> list[tuple[str, Mapping[str, Any]]]:
    """The columns of the score table: titles, and what is told of each."""
    scores = scores or {}
    titles = _titles(scores)
    shown = [(titles[name], told) for name, told in (scores.get("variants") or {}).items()]
    if scores.get("copies"):
        shown.append((COPIES, scores["copies"]))
    ends = [(name, scores.get(name.lower()) or {}) for name in ("Ceiling", "Floor")]
    return [*shown, *ends]


def _hear(voice: Voice) -> dict[str, Any]:
    """The first held-out text as it was said before, after, and by the speaker; {} without one."""
    scores = voice.scores or {}
    variants, titles = scores.get("variants") or {}, _titles(scores)
    stock = (scores.get("scale") or {}).get("stock_voice")
    shown: list[dict[str, Any]] = []
    text = clip = ""
    for when, name in zip(("Before", "After"), _compared(scores), strict=True):
        item = next(iter((variants.get(name) or {}).get("items") or []), None)
        if item is None:
            continue
        text, clip = str(item.get("text", "")), str(item.get("clip") or "")
        told = f"{titles[name]} ({stock})" if stock and when == "Before" else titles[name]
        path = voice.folder / "evaluation" / str(item.get("file"))
        shown.append({"title": f"{when}: {told}", "path": path, "synthetic": True})
    own = next((path for row, path in voice.clips if row.clip == clip), None)
    if own:
        shown.append({"title": "The speaker", "path": own, "synthetic": False})
    return {"text": text, "players": shown} if shown else {}


def _training(voice: Voice) -> dict[str, Any]:
    """Steps, seconds, first and last losses; empty without a training record.

    The adapter is the one of ``kept_step``, which was chosen, so the last validation loss shown
    is that step's. ``checkpoints`` are the rows whose samples were judged, each with the first of
    them.
    """
    if not voice.training:
        return {}
    losses = [row["loss"] for row in voice.training if row.get("loss") is not None]
    checked = {
        row.get("step"): row["val_loss"]
        for row in voice.training
        if row.get("val_loss") is not None
    }
    clocks = [row["seconds"] for row in voice.training if row.get("seconds") is not None]
    kept = voice.training_facts.get("kept_step")
    values = list(checked.values())
    return {
        "steps": voice.training[-1].get("step"),
        "kept_step": kept,
        "seconds": clocks[-1] if clocks else None,
        "loss": (losses[0], losses[-1]) if losses else None,
        "validation": (values[0], checked.get(kept, values[-1])) if values else None,
        "checkpoints": [
            {**row, "path": voice.folder / "adapter/samples" / f"step-{row['step']:06d}" / "00.wav"}
            for row in voice.training
            if row.get("similarity") is not None
        ],
    }


def _before_after(voice: Voice) -> dict[str, Any]:
    """The evaluated texts as rows, each with one item per variant (None when it has none)."""
    variants = (voice.scores or {}).get("variants") or {}
    items = {name: told.get("items") or [] for name, told in variants.items()}
    rows = []
    for number in range(max((len(found) for found in items.values()), default=0)):
        cells = [found[number] if number < len(found) else None for found in items.values()]
        text = next((cell.get("text", "") for cell in cells if cell), "")
        rows.append(
            {
                "text": text,
                "cells": [
                    cell and {**cell, "path": voice.folder / "evaluation" / str(cell.get("file"))}
                    for cell in cells
                ],
            }
        )
    return {"names": list(items), "rows": rows}


def _unfinished(run: Run) -> list[dict[str, str]]:
    """Sources without a ledger and without a failure: the run was stopped, or a record is gone."""
    return [
        {"where": f"{voice.name} / {source.id}", "reached": source.reached}
        for voice in run.voices
        for source in voice.sources
        if source.state == "unfinished"
    ]


def _versions(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Each package with its version; several versions when stages differ."""
    found: dict[str, set[str]] = {}
    for row in records:
        for name, version in (row.get("versions") or {}).items():
            found.setdefault(str(name), set()).add(str(version))
    return {name: ", ".join(sorted(found[name])) for name in sorted(found)}


def _web(url: str) -> str:
    """The address when a browser may follow it, else "": a recording can name any address."""
    return url if urlsplit(url).scheme in ("http", "https") else ""
