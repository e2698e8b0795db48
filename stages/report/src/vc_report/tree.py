"""What a run left on disk, read into one typed tree; what is missing is noted, not fatal."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from vc_core import failures, files, ledger, provenance
from vc_core.errors import InputError
from vc_core.failures import Failure
from vc_core.manifests import Clip, LedgerRow, read_rows
from vc_core.provenance import Provenance
from vc_report import order
from vc_report.failures import told as told_failures
from vc_report.order import Order

Row = TypeVar("Row")


@dataclass
class Source:
    """One recording of a voice; ``seconds`` is None when nothing says how long it is.

    ``reached`` is the last stage that came through, ``failures`` begin with the cause of all.
    ``twin`` is the id of an earlier source that is the same recording, "" when there is none.
    """

    id: str
    title: str
    url: str
    licence: str
    seconds: float | None
    rows: list[LedgerRow]
    clips: list[Clip]
    reached: str
    provenance: Provenance
    failures: list[Failure] = field(default_factory=list)
    twin: str = ""

    @property
    def kept(self) -> float:
        """Seconds that became clips."""
        return sum(row.end - row.start for row in self.rows if row.kept)

    @property
    def state(self) -> str:
        """kept, empty (a ledger without kept seconds), failed or unfinished."""
        if self.failures:
            return "failed"
        if not self.rows:
            return "unfinished"
        return "kept" if self.kept else "empty"


@dataclass
class Voice:
    """One voice: its sources and what was made of them. ``notes`` says what is missing and why."""

    name: str
    folder: Path
    consent: str
    language: str
    sources: list[Source]
    failures: list[Failure]
    reference: Path | None = None
    reference_facts: dict[str, Any] = field(default_factory=dict)
    training: list[dict[str, Any]] = field(default_factory=list)
    training_facts: dict[str, Any] = field(default_factory=dict)
    speech: list[dict[str, Any]] = field(default_factory=list)
    scores: dict[str, Any] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Seconds of all sources whose length is known."""
        return sum(source.seconds or 0.0 for source in self.sources)

    @property
    def kept(self) -> float:
        """Seconds that became clips."""
        return sum(source.kept for source in self.sources)

    @property
    def clips(self) -> list[tuple[Clip, Path]]:
        """All clips with the files that hold them."""
        return [
            (clip, self.folder / "clips" / source.id / clip.file_name)
            for source in self.sources
            for clip in source.clips
        ]

    def by_reason(self) -> dict[str, float]:
        """Seconds kept and dropped over all sources, by reason, largest first."""
        return ledger.seconds_by_reason(row for source in self.sources for row in source.rows)

    def all_failures(self) -> list[Failure]:
        """The cause of every failed source, then the voice's own."""
        return [source.failures[0] for source in self.sources if source.failures] + self.failures


@dataclass
class Run:
    """One run of the workflow."""

    config: dict[str, Any]
    voices: list[Voice]
    records: list[dict[str, Any]]


def read(results: Path, work: Path, failed: Path | None = None, stages: Path | None = None) -> Run:
    """Read a results folder and its work folder, and what failed from the file ``failed``.

    Without that file the records that the stages left beside their outputs tell what failed.
    ``stages`` is the file that tells in which order they work. Raises InputError when there is no
    usable ``run_config.yaml``: then nothing says which voices and sources there should be.
    """
    config = _config(results / "run_config.yaml")
    reader = _Reader(results, work, order.read(stages), told_failures(failed))
    run = Run(config, [], [])
    for name, told in config["voices"].items():
        voice, records = reader.voice(name, told or {})
        run.voices.append(voice)
        run.records += [{**row, "voice": name} for row in records]
    return run


def _config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the workflow first: it writes it")
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    voices = config.get("voices") if isinstance(config, dict) else None
    if not isinstance(voices, dict) or not voices:
        raise InputError(f"{path}: voices: is empty; name at least one voice")
    return dict(config)


@dataclass(frozen=True)
class _Reader:
    """Where a run lies; ``failed`` is what the workflow tells of failures, None when nothing."""

    results: Path
    work: Path
    order: Order
    failed: list[Failure] | None

    def voice(self, name: str, told: dict[str, Any]) -> tuple[Voice, list[dict[str, Any]]]:
        """A voice, of which ``told`` stands in the configuration, and its records in order."""
        folder = self.results / name
        notes: list[str] = []
        of_sources = self.order.records(_records(self.work / name))
        reached = {row["output"].partition("/")[0]: str(row.get("stage", "")) for row in of_sources}
        entries = [
            entry if isinstance(entry, dict) else {"url": str(entry)}
            for entry in told.get("sources") or []
        ]
        sources = [self._source(name, entry, reached, notes) for entry in entries]
        twins = provenance.twins([(source.id, source.provenance) for source in sources])
        found = self._failures(name, sources)
        for source in sources:
            source.twin = twins.get(source.id, "")
            source.failures = [failure for failure in found if failure.source == source.id]
        reference = folder / "reference" / "reference.wav"
        voice = Voice(
            name=name,
            folder=folder,
            consent=str(told.get("consent", "")),
            language=str(told.get("language", "")),
            sources=sources,
            failures=[failure for failure in found if not failure.source],
            reference=reference if reference.is_file() else None,
            reference_facts=_object(reference.with_suffix(".json"), notes),
            training=_objects(folder / "adapter" / "training.jsonl", notes),
            training_facts=_object(folder / "adapter" / "training.json", notes),
            speech=_objects(folder / "speech" / "speech.jsonl", notes),
            scores=_object(folder / "scores.json", notes) or None,
            notes=notes,
        )
        _name_missing(voice)
        return voice, self.order.records([*of_sources, *_records(folder)])

    def _failures(self, voice: str, sources: list[Source]) -> list[Failure]:
        """What failed of a voice and of its sources, the causes first."""
        found = self.failed
        if found is None:
            urls = {source.id: source.url for source in sources}
            found = failures.of_sources(self.work, self.results, voice, urls)
            found += failures.of_voice(self.results, voice)
        return self.order.failures(failure for failure in found if failure.voice == voice)

    def _source(
        self, voice: str, entry: dict[str, Any], reached: dict[str, str], notes: list[str]
    ) -> Source:
        name = str(entry.get("id") or entry.get("url", ""))
        folder = self.results / voice
        facts = _object(self.work / voice / name / "source.json", notes)
        told = provenance.read(facts)
        rows = _ledger(folder, name, notes)
        clips = _rows(folder / "clips" / name / "metadata.jsonl", Clip, notes)
        kept = {row.clip for row in rows if row.kept}
        return Source(
            id=name,
            title=told.title or name,
            url=told.url or str(entry.get("url") or ""),
            licence=told.licence or str(entry.get("licence") or ""),
            seconds=rows[-1].end if rows else _number(facts.get("duration")),
            rows=rows,
            clips=[clip for clip in clips if not rows or clip.clip in kept],
            reached=reached.get(name, ""),
            provenance=told,
        )


def _ledger(folder: Path, source: str, notes: list[str]) -> list[LedgerRow]:
    """The latest ledger of a source: the whole voice's, its own, or that of one without clips."""
    clips = folder / "clips"
    places = (
        folder / "dataset" / "ledger" / f"{source}.jsonl",
        clips / source / "ledger.jsonl",
        clips / f"{source}.ledger.jsonl",
    )
    found = next((path for path in places if path.is_file()), None)
    return _rows(found, LedgerRow, notes) if found else []


def _name_missing(voice: Voice) -> None:
    """Note every missing part of a voice and the reason, where one is known."""
    parts = {  # stage: what it leaves, whether that is there, the stage it needs
        "reference": ("reference recording", voice.reference is not None, ""),
        "curate": ("kept clips", bool(voice.clips), "reference"),
        "dataset": ("dataset", (voice.folder / "dataset").is_dir(), "curate"),
        "train": ("training record", bool(voice.training), "dataset"),
        "synthesize": ("speech of the demo texts", bool(voice.speech), "train"),
        "evaluate": ("scores", voice.scores is not None, "train"),
    }
    causes = {failure.stage: failure.message for failure in voice.failures}
    for stage, (what, there, needs) in parts.items():
        if there:
            continue
        if stage in causes:
            why = f"{stage} failed: {causes[stage]}"
        elif stage == "curate" and any(source.failures for source in voice.sources):
            why = "no source came through; the failures are named above"
        elif needs and not parts[needs][1]:
            why = f"there is no {parts[needs][0]}"
        else:
            why = f"{stage} has not run yet"
        voice.notes.append(f"No {what}: {why}.")


def _records(folder: Path) -> list[dict[str, Any]]:
    """The run records under a folder, each with the output it lies beside."""
    found = []
    for path in sorted(folder.rglob("*.run.json")) if folder.is_dir() else []:
        row = _object(path, [])
        if row:
            output = path.relative_to(folder).as_posix().removesuffix(".run.json")
            found.append({**row, "output": output})
    return found


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _object(path: Path, notes: list[str]) -> dict[str, Any]:
    """A JSON object, or {} when it is missing (silently) or unreadable (noted)."""
    if not path.is_file():
        return {}
    try:
        value = files.read_json(path)
    except InputError as error:
        notes.append(str(error))
        return {}
    if isinstance(value, dict):
        return value
    notes.append(f"{path}: not a JSON object; remove it and run again")
    return {}


def _rows(path: Path, kind: type[Row], notes: list[str]) -> list[Row]:
    """Rows of one kind, or [] when the file is missing (silently) or unreadable (noted)."""
    if not path.is_file():
        return []
    try:
        return read_rows(path, kind)
    except (InputError, UnicodeDecodeError) as error:
        notes.append(str(error))
        return []


def _objects(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    return [dict(row) for row in _rows(path, dict, notes)]
