"""Parquet files with the audio inside, and the card that stands beside them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vc_core.audio import TTS_RATE
from vc_core.manifests import Clip
from vc_dataset.split import Splits

CARD = """\
---
language: [{language}]
license: other
task_categories: [text-to-speech]
pretty_name: {voice}
tags: [voice-cloning]
configs:
- config_name: default
  data_files:
{data_files}
---

# {voice}

Clips of one speaker with text, 24 kHz mono, made by the Voice Cloning Pipeline.

**Consent:** {consent}

Use this voice only within that consent. Speech made from it must be labelled as synthetic.

| split | clips | seconds |
|---|---|---|
{split_rows}

Split by {how}. Texts are as they are said, `written` as they are written: {texts}.

## Sources

| source | licence | clips | seconds |
|---|---|---|---|
{source_rows}
"""


TEXTS = {
    "heard": "{} heard by Whisper and not checked by people",
    "captions": "{} from the recordings' captions",
    "corrected": "{} corrected by people",
}


def write_parquet(folder: Path, splits: Splits, places: Mapping[str, Path]) -> None:
    """Write ``data/<split>-00000-of-00001.parquet`` with FLAC bytes inside each row."""
    import datasets

    datasets.disable_progress_bars()
    for name, clips in splits.items():
        if not clips:
            continue
        # Bytes, because to_parquet does not embed audio that is given as paths.
        rows = [_row(clip, places[clip.clip]) for clip in clips]
        made = datasets.Dataset.from_list(rows)
        made = made.cast_column("audio", datasets.Audio(sampling_rate=TTS_RATE))
        path = folder / "data" / f"{name}-00000-of-00001.parquet"
        path.parent.mkdir(exist_ok=True)
        made.to_parquet(path)


def card(voice: str, consent: str, language: str, splits: Splits, how: str) -> str:
    """The dataset card: consent, licences, sizes."""
    every = [clip for clips in splits.values() for clip in clips]
    sources = sorted({clip.source for clip in every})
    return CARD.format(
        voice=voice,
        consent=consent,
        language=language,
        how=how,
        texts=_texts(every),
        data_files="\n".join(
            f"  - {{split: {name}, path: data/{name}-*.parquet}}" for name in splits if splits[name]
        ),
        split_rows="\n".join(
            f"| {name} | {len(clips)} | {sum(c.seconds for c in clips):.1f} |"
            for name, clips in splits.items()
        ),
        source_rows="\n".join(_source_row(name, every) for name in sources),
    )


def _texts(clips: Sequence[Clip]) -> str:
    """How the texts were made, with counts."""
    counts = {name: sum(clip.text_from == name for clip in clips) for name in TEXTS}
    return ", ".join(TEXTS[name].format(count) for name, count in counts.items() if count)


def _source_row(name: str, clips: list[Clip]) -> str:
    mine = [clip for clip in clips if clip.source == name]
    licence = mine[0].licence or "not given"
    return f"| {name} | {licence} | {len(mine)} | {sum(c.seconds for c in mine):.1f} |"


def _row(clip: Clip, path: Path) -> dict[str, Any]:
    row = dataclasses.asdict(clip)
    row.pop("file_name")
    return {"audio": {"bytes": path.read_bytes(), "path": path.name}, **row}
