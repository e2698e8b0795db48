"""What the front door itself is told: voices with their recordings, and where results go.

The rest of the configuration is composed of the stages' own options by ``voice_pipeline.compose``.
Values are taken, in this order, from the command line, the environment (``DEFAULT_*`` and others,
``.env`` too), the config file, and the defaults.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BaseModel, Field, PrivateAttr, model_validator

from vc_core import shared, speaking
from vc_core.options import Environment, Home, NonEmpty, Options, marker
from vc_core.speaking import Family
from voice_pipeline.parts import Parts, family_keys, own_keys
from voice_pipeline.section import Name, Section
from voice_pipeline.sources import Source, read_table, source_id, twice


class Slice(Section):
    """A stretch of a source in which the target speaker is heard alone."""

    source: Name | None = Field(None, description="Source to cut from; default: the reference's.")
    start: float = Field(0.0, ge=0, description="Start of the slice, seconds.")
    end: float = Field(gt=0, description="End of the slice, seconds.")

    @model_validator(mode="after")
    def _consistent(self) -> "Slice":
        if self.end <= self.start:
            raise ValueError(f"end ({self.end:g}) must be after start ({self.start:g})")
        return self


class Reference(Section):
    """Where the target speaker is heard alone: slices of sources, or files."""

    source: Name | None = Field(None, description="Source to cut from; default: the first one.")
    start: Annotated[
        float,
        Field(ge=0, description="Start of the slice, seconds."),
        Environment("DEFAULT_REF_START"),
    ] = 0.0
    end: Annotated[
        Annotated[float, Field(gt=0)] | None,
        Field(description="End of the slice, seconds; default: 15, or the end of the file."),
        Environment("DEFAULT_REF_END"),
    ] = None
    slices: list[Slice] = Field(
        default_factory=list, description="Several slices instead, of one source or of several."
    )
    file: Path | None = Field(None, description="A file with the target speaker alone instead.")
    files: list[Path] = Field(
        default_factory=list, description="Several such files instead, taken whole."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Reference":
        ways = {"file": self.file, "files": self.files, "source": self.source or self.slices}
        given = [name for name, value in ways.items() if value]
        if len(given) > 1:
            raise ValueError(f"give {' or '.join(given)}, not both")
        if self.slices or self.files:
            if self.start > 0 or self.end is not None:
                raise ValueError(
                    "start and end (DEFAULT_REF_START, DEFAULT_REF_END) belong to a single slice; "
                    "leave them out beside slices or files"
                )
        elif self.end is None and not self.file:
            self.end = 15.0
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end ({self.end:g}) must be after start ({self.start:g})")
        return self


class Voice(Section):
    """One speaker to clone, who has consented."""

    consent: NonEmpty = Field(
        description="Who consented, how and when; no voice is processed without it."
    )
    language: shared.Language
    reference: Reference = Reference()
    sources: list[Source] = Field(
        default_factory=list,
        description="Recordings: URLs or files; with {id, url, licence, start, end} where more is "
        "known.",
    )
    sources_file: Path | None = Field(
        None,
        description="Many recordings, one a row: a TSV as vc-download list writes it, whose header "
        "names columns out of id, url, title, seconds, licence, start, end; without a header: url, "
        "id, licence.",
    )
    demo_text: list[NonEmpty] = Field(
        default_factory=list, description="Sentences to say with the finished voice."
    )
    corrections: Path | None = Field(
        None,
        description="What people say of the clips: a TSV of clip, text and keep with that header. "
        "keep is yes, no or nothing; an empty text stays as it is.",
    )

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        listed = data.get("sources") or []
        if not isinstance(listed, list):
            raise ValueError("sources must be a list; put '- ' before each URL or file")
        rows = [{"url": row} if isinstance(row, str) else row for row in listed]
        if data.get("sources_file"):
            rows += read_table(Path(str(data["sources_file"])))
        named = [
            {**row, "id": source_id(str(row["url"]))}
            if isinstance(row, dict) and "url" in row and row.get("id") in (None, "")
            else row
            for row in rows
        ]
        return {**data, "sources": named, "sources_file": None}

    @model_validator(mode="after")
    def _consistent(self) -> "Voice":
        if not self.sources:
            raise ValueError("has no sources; add at least one URL or file under 'sources'")
        ids = [source.id for source in self.sources]
        if twice(self.sources):
            raise ValueError(twice(self.sources))
        for name in (self.reference.source, *(cut.source for cut in self.reference.slices)):
            if name and name not in ids:
                raise ValueError(
                    f"reference.source {name!r} is no source; there are: " + ", ".join(ids)
                )
        return self


class Containers(Section):
    """Images of the stages, used with --sdm apptainer and on Kubernetes."""

    prefix: str = Field("docker://voice-clone", description="What stands before /vc-STAGE:TAG.")
    tag: str = Field("0.1.0", description="Tag of every image.")


class Told(NamedTuple):
    """Options of a command, the key of the configuration for each, and its value there."""

    model: type[Options]
    keys: Mapping[str, str]
    values: dict[str, Any]


class PipelineConfig(Section):
    """The whole configuration of a run."""

    # Of what the sections beyond those below are composed; set by voice_pipeline.compose.
    parts: ClassVar[Parts]

    voices: dict[Name, Voice] = Field(min_length=1, description="The voices to clone, by name.")
    output_dir: Annotated[
        Path, Field(description="Results."), Environment("DEFAULT_OUTPUT_DIR")
    ] = Path("results")
    work_dir: Path = Field(Path("work"), description="Intermediate files; can be made again.")
    skip_failed_sources: bool = Field(
        True,
        description="A source whose stage has failed is left out of its voice on the next run "
        "and named in the report; false: it is tried again, and its voice waits for it.",
    )
    containers: Containers = Containers()

    _by_id: dict[str, dict[str, Source]] = PrivateAttr(default_factory=dict)

    def family(self) -> Family:
        """The family of speaking models that learns and speaks in this run.

        Raises InputError where no family, or more than one, claims the base model.
        """
        return speaking.choose(self.parts.families, self.at("models.tts"), self.at("models.family"))

    def sections(self) -> dict[str, BaseModel]:
        """The parts of the configuration by name: those that are sections themselves."""
        return {name: part for name, part in self if isinstance(part, BaseModel)}

    def told(self, stage: str, voice: str, source: str) -> list[Told]:
        """What a stage's command is told of a source: its own options, then its family's."""
        own = self.parts.options.get(stage)
        kind = self.parts.kind(stage)
        taken = [(own, own_keys(own, self.parts.section(stage)))] if own else []
        if kind:
            family = self.family()
            taken.append((kind.of(family), family_keys(kind, family)))
        return [
            Told(model, keys, self._values(model, keys, voice, source)) for model, keys in taken
        ]

    def _values(
        self, model: type[Options], keys: Mapping[str, str], voice: str, source: str
    ) -> dict[str, Any]:
        values = {name: self.at(key, voice, source) for name, key in keys.items()}
        homes = {name: marker(model.model_fields[name], Home) for name in keys}
        left_out = {name: x.otherwise for name, x in homes.items() if x and x.otherwise}
        return {
            name: self.at(left_out[name]) if value is None and name in left_out else value
            for name, value in values.items()
        }

    def _source(self, voice: str, source: str) -> Source:
        """One source of a voice, found at once where there are thousands."""
        if voice not in self._by_id:
            self._by_id[voice] = {one.id: one for one in self.voices[voice].sources}
        return self._by_id[voice][source]

    def at(self, key: str, voice: str = "", source: str = "") -> Any:
        """The value of a key; its first ``*`` stands for the voice, a second for the source."""
        value: Any = self
        for part in key.split("."):
            if part != "*":
                value = getattr(value, part)
            elif isinstance(value, dict):
                value = value[voice]
            else:
                value = self._source(voice, source)
        return value
