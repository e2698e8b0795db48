"""What the Snakefile asks: the checked configuration, the sources of a voice, the images."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from voice_pipeline.config import NAME_PATTERN, PipelineConfig, Reference, Slice, Source, Voice
from voice_pipeline.settings import ConfigError, resolve

TRY_AGAIN = 75  # a stage's exit code for passing trouble

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

    def __init__(self, config: PipelineConfig, stored: bool = False) -> None:
        self.config = config
        self.stored = stored
        self.work = config.work_dir
        self.results = config.output_dir
        # Beside the results, because the checkout's own benchmarks/ holds programs.
        self.logs = str(self.results / "logs")
        self.benchmarks = str(self.results / "benchmarks")

    @property
    def voices(self) -> list[str]:
        """Names of the voices."""
        return list(self.config.voices)

    def voice(self, name: str) -> Voice:
        """One voice's part of the configuration."""
        return self.config.voices[name]

    def sources(self, voice: str) -> list[str]:
        """Ids of the sources a voice is made from: all but those passed over as failed."""
        ids = [source.id for source in self.voice(voice).sources]
        failed = self.failures(voice) if self.config.skip_failed_sources else {}
        # When all have failed they are tried again: better their reasons than an empty dataset.
        return [name for name in ids if name not in failed] or ids

    def failures(self, voice: str) -> dict[str, str]:
        """Sources that a stage gave up on for good, with stage and reason.

        A stage leaves ``<output>.failed.json`` for them; passing trouble does not count.
        """
        found = {}
        for source in self.voice(voice).sources:
            for path in self._failure_files(voice, source.id):
                told = json.loads(path.read_text("utf-8"))
                if told["exit_code"] != TRY_AGAIN:
                    found[source.id] = f"{told['stage']}: {told['message']}"
        return found

    def retry(self) -> None:
        """Forget what failed, so that the next run tries it again."""
        for voice in self.voices:
            for source in self.voice(voice).sources:
                for path in self._failure_files(voice, source.id):
                    path.unlink()

    def start(self, config: Mapping[str, Any]) -> None:
        """Before the first job: keep the configuration as used, say what is passed over."""
        write_resolved(config, self.results / "run_config.yaml")
        for voice in self.voices:
            used = self.sources(voice)
            for source, reason in self.failures(voice).items():
                if source not in used:
                    print(
                        f"passing over {voice}/{source}, which failed: {reason} "
                        "(voice-clone retry tries it again)",
                        file=sys.stderr,
                    )

    def tell_failures(self) -> None:
        """After a run that failed: what was given up on, and how to go on."""
        told = [
            f"  {voice}/{source}: {reason}"
            for voice in self.voices
            for source, reason in self.failures(voice).items()
        ]
        if told and self.config.skip_failed_sources:
            print(
                "These sources failed. Run the same command again to go on without them, or mend "
                "them and run: voice-clone retry\n" + "\n".join(told),
                file=sys.stderr,
            )

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

    def evaluation_whisper(self, wildcards: Any) -> str:
        """The Whisper that counts word errors: its own, or the one that transcribes."""
        return self.config.evaluate.whisper or self.config.transcribe.model

    def context(self, wildcards: Any) -> list[str]:
        """The options that let the reference steer the voice, if it shall."""
        reference = self.results / wildcards.voice / "reference" / "reference.wav"
        return ["--context-audio", str(reference)] if self.config.synthesize.context else []

    def results_folder(self, wildcards: Any) -> str:
        """Where all results lie."""
        return str(self.results)

    def work_folder(self, wildcards: Any) -> str:
        """Where all intermediate files lie."""
        return str(self.work)

    def results_of_all(self, wildcards: Any) -> list[str]:
        """Everything that the report tells of."""
        found = []
        for voice, chosen in self.config.voices.items():
            folder = self.results / voice
            found += [str(folder / "clips" / source) for source in self.sources(voice)]
            found += [str(folder / name) for name in ("dataset", "adapter", "scores.json")]
            found += [str(folder / "speech")] if chosen.demo_text else []
        return found

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
        return next(row for row in self.voice(voice).sources if row.id == source)

    def local_file(self, wildcards: Any) -> list[str]:
        """The recording, where it is a file that is there: then its changes rerun the download.

        A missing file is left to the download, which fails alone and says why. With remote
        storage the path is one that the job's machine sees, and nothing is known of it here.
        """
        url = self.source(wildcards.voice, wildcards.source).url
        return [url] if not self.stored and Path(url).is_file() else []

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

    def url(self, wildcards: Any) -> str:
        """URL or path of a source."""
        return self.source(wildcards.voice, wildcards.source).url

    def licence(self, wildcards: Any) -> str:
        """Licence of a source, "" where none is given."""
        return self.source(wildcards.voice, wildcards.source).licence

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

    def _failure_files(self, voice: str, source: str) -> list[Path]:
        places = [(self.work / voice / source, "*"), (self.results / voice / "clips", source)]
        return sorted(p for folder, stem in places for p in folder.glob(f"{stem}.failed.json"))


def plan(
    config: dict[str, Any],
    overrides: Mapping[str, Any] | None = None,
    storage: str | None = None,
) -> Plan:
    """Check Snakemake's ``config`` and complete it in place with every default.

    ``overrides`` are those of the command line, ``storage`` the default storage provider.

    A configuration that cannot be used ends the run with one line and exit code 3, instead of
    Snakemake's traceback.
    """
    try:
        checked = resolve(config, overrides)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
    made = Plan(checked, stored=storage is not None)
    config.clear()
    config.update(checked.model_dump(mode="json"))
    add_commands()
    return made


def add_commands() -> None:
    """Let the stages' commands be found, which stand beside the interpreter, activated or not."""
    os.environ["PATH"] += f"{os.pathsep}{Path(sys.executable).parent}"


def write_resolved(config: Mapping[str, Any], path: Path) -> None:
    """Write the configuration as it was used, only when it has changed."""
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    if not path.is_file() or path.read_text("utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
