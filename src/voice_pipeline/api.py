"""The pipeline from Python: ``VoiceCloningPipeline(PipelineConfig(...)).run()``."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from voice_pipeline import access, failures, settings
from voice_pipeline.config import PipelineConfig
from voice_pipeline.sources import source_id
from voice_pipeline.stages import find_root
from voice_pipeline.workflow import Plan, add_commands


class PipelineError(RuntimeError):
    """The workflow ended with an error; ``exit_code`` is Snakemake's."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class VoiceCloningPipeline:
    """Runs the Snakemake workflow for one configuration.

    ``root`` is the folder of the Snakefile; by default the checkout this package is installed
    from. ``by_hand`` names keys, such as ``download.sleep``, that go before the environment's
    DOWNLOAD_..., because somebody has just given them.
    """

    def __init__(
        self, config: PipelineConfig, root: Path | None = None, by_hand: Collection[str] = ()
    ) -> None:
        self.config = config
        self.root = root or find_root()
        self.by_hand = by_hand

    @classmethod
    def from_file(
        cls, path: Path, overrides: Mapping[str, Any] | None = None
    ) -> "VoiceCloningPipeline":
        """From a config file, with environment and ``overrides`` laid over it."""
        return cls(settings.load(path, overrides), by_hand=access.by_hand(overrides))

    @property
    def report(self) -> Path:
        """The page that a finished run ends in."""
        return self.config.output_dir / "report.html"

    def run(self, cores: int | None = None, options: Sequence[str] = ()) -> Path:
        """Run everything that is not up to date; returns the report.

        Sources that failed before are tried again. Those that fail now do not stop the others:
        with ``skip_failed_sources`` a second pass finishes their voices without them. Raises
        PipelineError when there is no report, or when a source failed.
        """
        Plan(self.config).retry()
        code = self.snakemake([*_cores(cores), "--keep-going", *options])
        if code != 0 and self.config.skip_failed_sources and self.failures():
            code = self.snakemake([*_cores(cores), "--keep-going", *options])
        if code != 0:
            raise PipelineError("the workflow failed; its log is named above", code)
        return self.report

    def failures(self) -> dict[str, str]:
        """Sources given up on: ``voice/source`` to stage and reason."""
        plan = Plan(self.config)
        return {
            f"{voice}/{source}": reason
            for voice in plan.voices
            for source, reason in plan.failures(voice).items()
        }

    def told(self) -> list[str]:
        """A line for each source given up on, or for each kind of failure where there are many."""
        return failures.told(Plan(self.config).given_up())

    def snakemake(self, options: Sequence[str]) -> int:
        """Run Snakemake on the configuration as it stands; returns its exit code."""
        written = self.config.output_dir / "requested_config.yaml"
        written.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(self.config.model_dump(mode="json"), sort_keys=False)
        written.write_text(text, "utf-8")
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(self.root / "Snakefile")]
        command += ["--configfile", str(written), *options]
        # The environment is in the configuration already; laid on again it would beat overrides.
        known = access.variables(type(self.config))
        silent = [*settings.variables(type(self.config))]
        silent += [variable for variable, key in known.items() if key in self.by_hand]
        quiet = {**os.environ, **dict.fromkeys(silent, "")}
        return subprocess.run(command, env=quiet, check=False).returncode


def propose(
    recording: str, options: Sequence[str] = (), how: Mapping[str, BaseModel] | None = None
) -> int:
    """Print which stretches of a recording, a URL or a file, would make a reference.

    ``options`` are those of ``vc-reference propose``; of the sections ``how`` that of the download
    says how to get at a URL. Returns the exit code.
    """
    add_commands()
    environment = dict(os.environ)
    access.lay(how or {}, environment)
    with tempfile.TemporaryDirectory(prefix="voice-clone-") as folder:
        path = Path(recording)
        if not path.is_file():
            path = Path(folder) / "source.wav"
            download = ["vc-download", recording, "-o", str(path)]
            fetched = subprocess.run(download, env=environment, check=False)
            if fetched.returncode != 0:
                return fetched.returncode
        command = ["vc-reference", "propose", str(path), "--name", source_id(recording), *options]
        return subprocess.run(command, check=False).returncode


def _cores(cores: int | None) -> list[str]:
    return ["--cores", str(cores) if cores else "all"]
