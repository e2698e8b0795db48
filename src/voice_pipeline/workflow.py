"""What the Snakefile asks: the checked configuration, the sources of a voice, the images."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

import yaml

from vc_core import failures, files, options, urls
from vc_core.failures import Failure
from voice_pipeline import access, recordings
from voice_pipeline.config import PipelineConfig, Reference, Slice, Voice
from voice_pipeline.failures import how_to_go_on, names, told
from voice_pipeline.faults import ConfigError
from voice_pipeline.section import NAME_PATTERN
from voice_pipeline.settings import resolve
from voice_pipeline.sources import Source

# Tries of a download after the first; each waits longer for what may pass.
RETRIES = 2

# The wildcards of the workflow take the same names as the configuration.
WILDCARD = NAME_PATTERN


class ReferenceSlice(NamedTuple):
    """A slice of the reference: the recording, what it is called, seconds; None for its end."""

    audio: str
    name: str
    start: float
    end: float | None

    @property
    def span(self) -> str:
        """START:END as vc-reference reads it."""
        return f"{self.start:.10g}:" + ("" if self.end is None else f"{self.end:.10g}")


class Plan:
    """One checked configuration, as the Snakefile uses it."""

    def __init__(self, config: PipelineConfig, stored: bool = False, within: bool = False) -> None:
        self.config = config
        # On a cluster each job is a Snakemake within Snakemake: if all of them tried three times,
        # a site that is overrun already would be asked ten times.
        self.retries = 0 if within else RETRIES
        self.stored = stored
        self.work = config.work_dir
        self.results = config.output_dir
        # Beside the results, because the checkout's own benchmarks/ holds programs.
        self.logs = str(self.results / "logs")
        self.benchmarks = str(self.results / "benchmarks")
        self.failures_path = self.results / "failures.json"
        self.stages_path = self.results / "stages.json"
        self.parts = config.parts
        self._sources = {
            name: {source.id: source for source in voice.sources}
            for name, voice in config.voices.items()
        }
        self._failed: list[Failure] | None = None

    @property
    def voices(self) -> list[str]:
        """Names of the voices."""
        return list(self.config.voices)

    def voice(self, name: str) -> Voice:
        """One voice's part of the configuration."""
        return self.config.voices[name]

    def sources(self, voice: str) -> list[str]:
        """Ids of the sources a voice is made from: all but those passed over as failed."""
        ids = list(self._sources[voice])
        failed = self.failures(voice) if self.config.skip_failed_sources else {}
        # When all have failed they are tried again: better their reasons than an empty dataset.
        return [name for name in ids if name not in failed] or ids

    def failed(self, anew: bool = False) -> list[Failure]:
        """Everything that a stage left ``<output>.failed.json`` for, passing trouble too.

        Looked up once, since every voice asks several times, and again where ``anew``.
        """
        if self._failed is None or anew:
            self._failed = []
            for voice, sources in self._sources.items():
                given = {name: source.url for name, source in sources.items()}
                self._failed += failures.of_sources(self.work, self.results, voice, given)
                self._failed += failures.of_voice(self.results, voice)
        return self._failed

    def given_up(self) -> list[Failure]:
        """Failures of sources that running again alone does not mend."""
        return [failure for failure in self.failed() if failure.source and not failure.passing]

    def failures(self, voice: str) -> dict[str, str]:
        """Sources of a voice that a stage gave up on for good, with stage and reason."""
        return {
            failure.source: f"{failure.stage}: {failure.message}"
            for failure in self.given_up()
            if failure.voice == voice and failure.source
        }

    def retry(self) -> None:
        """Forget what failed, so that the next run tries it again."""
        for failure in self.failed(anew=True):
            if failure.source:
                Path(failure.record).unlink(missing_ok=True)
        self._failed = None

    def start(self) -> None:
        """Before the first job: keep the configuration as used, say what is passed over."""
        write_resolved(self._recorded(), self.results / "run_config.yaml")
        facts = [{"name": x.name, "order": x.order, "about": x.about} for x in self.parts.stages]
        files.write_json(self.stages_path, facts)
        failures.write(self.failures_path, self.failed(anew=True))
        used = {voice: set(self.sources(voice)) for voice in self.voices}
        passed = [one for one in self.given_up() if one.source not in used[one.voice]]
        for line in told(passed):
            _say(f"passing over {line}")
        if passed:
            _say("voice-clone retry tries them again")

    def _recorded(self) -> dict[str, Any]:
        """The configuration as used; URLs without what may be secret in them."""
        told = self.config.model_dump(mode="json")
        for voice in told["voices"].values():
            for source in voice["sources"]:
                source["url"] = urls.public(source["url"])
        return told

    def finish(self, good: bool) -> None:
        """After the last job: write down and tell what failed, and what is there twice."""
        failed = self.failed(anew=True)
        failures.write(self.failures_path, failed)
        if failed and not good:
            _say(how_to_go_on(failed, self.config.skip_failed_sources))
            _say(f"Each with its reason: {self.failures_path}")
        for voice in self.voices:
            twins = recordings.same(self.work / voice, self._sources[voice])
            if twins:
                pairs = names([f"{late} as {early}" for late, early in twins.items()])
                _say(f"{voice}: the same recording is there twice: {pairs}; leave one of them out")

    def clips(self, wildcards: Any) -> list[str]:
        """The clip folders that a voice's dataset is made from."""
        folder = self.results / wildcards.voice / "clips"
        return [str(folder / source) for source in self.sources(wildcards.voice)]

    def vocals(self, wildcards: Any) -> list[str]:
        """The separated vocals of a voice's sources, in the order of ``segments``."""
        return self._of_sources(wildcards.voice, "vocals.flac")

    def segments(self, wildcards: Any) -> list[str]:
        """The segments of a voice's sources, in the order of ``vocals``."""
        return self._of_sources(wildcards.voice, "segments.jsonl")

    def options(self, stage: str) -> Callable[[Any], list[str]]:
        """The words for a stage's options that its outputs depend on, as a function of wildcards.

        Those of the family of speaking models follow the stage's own.
        """

        def said(wildcards: Any) -> list[str]:
            return self._words(stage, wildcards, incidental=False)

        return said

    def how(self, stage: str) -> Callable[[Any, int], list[str]]:
        """The words for a stage's options that its outputs do not depend on, such as the device.

        Snakemake keeps what depends on threads out of the reasons to run a job again.
        """

        def said(wildcards: Any, threads: int) -> list[str]:
            return self._words(stage, wildcards, incidental=True)

        return said

    def value(self, key: str) -> Any:
        """One value of the configuration, such as that of ``train.processes``."""
        return self.config.at(key)

    def _words(self, stage: str, wildcards: Any, incidental: bool) -> list[str]:
        voice, source = (getattr(wildcards, name, "") for name in ("voice", "source"))
        told = self.config.told(stage, voice, source)
        return [word for x in told for word in options.words(x.model, x.values, incidental)]

    def results_folder(self, wildcards: Any) -> str:
        """Where all results lie."""
        return str(self.results)

    def failures_file(self, wildcards: Any) -> str:
        """Where the failures of a run are told."""
        return str(self.failures_path)

    def work_folder(self, wildcards: Any) -> str:
        """Where all intermediate files lie."""
        return str(self.work)

    def stages_file(self, wildcards: Any) -> str:
        """Where the stages of the workflow are told in their order."""
        return str(self.stages_path)

    def results_of_all(self, wildcards: Any) -> list[str]:
        """Everything that the report tells of: what the stages name as their outputs."""
        found = {
            self._filled(output, voice, source)
            for stage in self.parts.stages
            for voice in self.voices
            if not stage.given or self.config.at(stage.given, voice)
            for source in self.sources(voice)
            for output in stage.outputs
        }
        return sorted(found)

    def _filled(self, path: str, voice: str, source: str) -> str:
        """A path as rules write it, with folders and wildcards filled in."""
        for folder, place in (("<results>", self.results), ("<work>", self.work)):
            path = path.replace(folder, str(place))
        return path.format(voice=voice, source=source)

    def reference_slices(self, voice: str) -> list[ReferenceSlice]:
        """What the reference is cut from: separated vocals, or the files given."""
        chosen = self.voice(voice)
        given = chosen.reference
        if given.files:
            return [ReferenceSlice(str(path), str(path), 0.0, None) for path in given.files]
        if given.file:
            return [ReferenceSlice(str(given.file), str(given.file), given.start, given.end)]
        common = given.source or chosen.sources[0].id
        cuts: Sequence[Slice | Reference] = given.slices or [given]
        found = []
        for cut in cuts:
            source = cut.source or common
            vocals = str(self.work / voice / source / "vocals.flac")
            found.append(ReferenceSlice(vocals, source, cut.start, cut.end))
        return found

    def source(self, voice: str, source: str) -> Source:
        """One source's part of the configuration."""
        return self._sources[voice][source]

    def local_file(self, wildcards: Any) -> list[str]:
        """The recording, where it is a file that is there: then its changes rerun the download.

        A missing file is left to the download, which fails alone and says why. With remote
        storage the path is one that the job's machine sees, and nothing is known of it here.
        """
        url = self.url(wildcards)
        path = url2pathname(urlsplit(url).path) if url.startswith("file://") else url
        if self.stored or "://" in path:
            return []
        try:
            return [path] if Path(path).is_file() else []
        except OSError:  # longer than a name of a file can be
            return []

    def corrections(self, wildcards: Any) -> list[str]:
        """The corrections of a voice where they are a file that is there: an edit reruns curate.

        A missing file is left to the stage, as with ``local_file``.
        """
        given = self.voice(wildcards.voice).corrections
        return [str(given)] if given and not self.stored and given.is_file() else []

    def correcting(self, wildcards: Any) -> list[str]:
        """The options that apply the corrections of a voice, if there are any."""
        given = self.voice(wildcards.voice).corrections
        return ["--corrections", str(given)] if given else []

    def section(self, wildcards: Any) -> list[str]:
        """The options that take a section of a source, if only one is wanted."""
        source = self.source(wildcards.voice, wildcards.source)
        times = {"--start": source.start, "--end": source.end}
        given = {option: time for option, time in times.items() if time is not None}
        return [word for option, time in given.items() for word in (option, f"{time:.10g}")]

    def attempt(self, wildcards: Any, attempt: int) -> int:
        """Which try of a job this is, from 1."""
        return attempt

    def url(self, wildcards: Any) -> str:
        """URL or path of a source."""
        return self.source(wildcards.voice, wildcards.source).url

    def texts(self, wildcards: Any) -> list[str]:
        """The sentences that a voice says at the end."""
        return list(self.voice(wildcards.voice).demo_text)

    def reference_audio(self, wildcards: Any) -> list[str]:
        """The recordings that the reference is cut from, one for each slice."""
        return [cut.audio for cut in self.reference_slices(wildcards.voice)]

    def reference_options(self, wildcards: Any) -> list[str]:
        """For each slice its times and what messages call its recording."""
        return [
            word
            for cut in self.reference_slices(wildcards.voice)
            for word in ("--slice", cut.span, "--name", cut.name)
        ]

    def image(self, stage: str) -> str:
        """The container image of a stage."""
        containers = self.config.containers
        return f"{containers.prefix}/vc-{stage}:{containers.tag}"

    def _of_sources(self, voice: str, name: str) -> list[str]:
        return [str(self.work / voice / source / name) for source in self.sources(voice)]


def plan(
    config: dict[str, Any],
    root: Path,
    overrides: Mapping[str, Any] | None = None,
    storage: str | None = None,
    within: bool = False,
) -> Plan:
    """Check Snakemake's ``config`` and complete it in place with every default.

    ``root`` is the Snakefile's folder, ``overrides`` are those of the command line, ``storage``
    is the default storage provider; ``within`` a job of another Snakemake, which does the retries.

    A configuration that cannot be used ends the run with one line and exit code 3, instead of
    Snakemake's traceback.
    """
    stored = storage is not None
    try:
        checked = resolve(config, overrides, root=root, within=within)
        access.lay(checked.sections(), first=access.by_hand(overrides), elsewhere=stored)
    except ConfigError as error:
        _say(str(error))
        sys.exit(3)
    completed = checked.model_dump(mode="json")
    config.clear()
    config.update(completed)
    add_commands()
    return Plan(checked, stored, within)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def add_commands() -> None:
    """Let the stages' commands be found, which stand beside the interpreter, activated or not."""
    os.environ["PATH"] += f"{os.pathsep}{Path(sys.executable).parent}"


def write_resolved(config: Mapping[str, Any], path: Path) -> None:
    """Write the configuration as it was used, only when it has changed."""
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    if not path.is_file() or path.read_text("utf-8") != text:
        with files.atomic(path) as partial:
            partial.write_text(text, "utf-8")
