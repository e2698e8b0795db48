"""From recordings to a measured, labelled clone of a consenting speaker's voice."""

import argparse
import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from voice_pipeline.access import by_hand, sections_in
from voice_pipeline.api import PipelineError, VoiceCloningPipeline, propose
from voice_pipeline.faults import ConfigError
from voice_pipeline.settings import merge, nested, read_file, resolve
from voice_pipeline.workflow import Plan

OK, FAILED, BAD_INPUT = 0, 1, 3
CONFIG = Path("config.yaml")


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="voice-clone", description=__doc__)
    version = importlib.metadata.version("voice-pipeline")
    parser.add_argument("--version", action="version", version=f"voice-clone {version}")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("run", help="run the workflow, for a URL or for a config file")
    start.add_argument("url", nargs="*", help="recordings of one voice; none: those of the config")
    start.add_argument("--voice", default="voice", help="name of the voice of the URLs")
    start.add_argument("--consent", help="who consented, how and when; required with a URL")
    start.add_argument("--ref-start", type=float, help="start of the reference slice, seconds")
    start.add_argument("--ref-end", type=float, help="end of the reference slice, seconds")
    start.add_argument("--say", action="append", default=[], help="a sentence to say at the end")
    start.add_argument("--cores", type=int, help="cores to use; default: all")
    start.add_argument("--dry-run", action="store_true", help="only say what would be done")
    start.add_argument("--profile", help="Snakemake profile, such as profiles/slurm")
    show = commands.add_parser("config", help="check the configuration and show it as resolved")
    retry = commands.add_parser("retry", help="forget which sources failed, to try them again")
    offer = commands.add_parser(
        "propose",
        help="list the stretches of a recording that would make a reference",
        epilog="What else is given goes to vc-reference propose, such as --clips FOLDER.",
    )
    offer.add_argument("recording", metavar="URL_OR_FILE", help="the recording")
    for command in (start, show, retry, offer):
        command.add_argument("--config", type=Path, default=CONFIG, help="config file")
    for command in (start, show, retry):
        command.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="one key of the configuration, such as train.max_steps=50",
        )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = build_parser()
    args, more = parser.parse_known_args(argv)
    if more and args.command != "propose":
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    try:
        if args.command == "propose":
            values = read_file(args.config) if args.config.is_file() else {}
            return propose(args.recording, more, sections_in(values))
        overrides = overriding(args.set)
        if args.command == "run":
            voice = voice_of(args.url, args.consent, args.ref_start, args.ref_end, args.say)
            pipeline = _pipeline(args.config, overrides, {args.voice: voice} if voice else {})
            return run(pipeline, profile_options(args.profile), args.cores, args.dry_run)
        pipeline = _pipeline(args.config, overrides, {})
        if args.command == "config":
            dumped = pipeline.config.model_dump(mode="json")
            print(yaml.safe_dump(dumped, sort_keys=False, allow_unicode=True), end="")
        else:
            Plan(pipeline.config).retry()
        return OK
    except (ConfigError, FileNotFoundError) as error:
        print(f"voice-clone: {error}", file=sys.stderr)
        return BAD_INPUT
    except PipelineError as error:
        print(f"voice-clone: {error}", file=sys.stderr)
        return error.exit_code


def script() -> None:
    """Console entry point."""
    sys.exit(main())


def run(
    pipeline: VoiceCloningPipeline, options: Sequence[str], cores: int | None, dry_run: bool
) -> int:
    """Run the workflow, or say what it would do; tells what failed, returns the exit code."""
    if dry_run:
        return pipeline.snakemake(["--cores", "1", "--dry-run", *options])
    report = pipeline.run(cores, options)
    failures = pipeline.failures()
    for line in pipeline.told():
        print(f"voice-clone: failed: {line}", file=sys.stderr)
    print(f"report: {report}")
    return BAD_INPUT if failures else OK


def profile_options(profile: str | None) -> list[str]:
    """How Snakemake is told of a profile: a folder, or the name of one of its own."""
    if not profile:
        return []
    # A --profile would come under the default one, whose limits are those of one machine.
    return ["--workflow-profile" if Path(profile).exists() else "--profile", profile]


def overriding(given: Sequence[str]) -> dict[str, Any]:
    """What ``KEY=VALUE`` texts set, as a nested mapping."""
    overrides: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text!r}: write KEY=VALUE, such as train.max_steps=50")
        overrides = merge(overrides, nested(key, yaml.safe_load(value)))
    return overrides


def voice_of(
    urls: Sequence[str],
    consent: str | None,
    start: float | None,
    end: float | None,
    sentences: Sequence[str],
) -> dict[str, Any]:
    """The voice that a command line describes, {} where it names no recording."""
    if not urls:
        return {}
    if not consent:
        raise ConfigError("--consent is missing: say who consented, how and when")
    times = {"start": start, "end": end}
    return {
        "consent": consent,
        "sources": list(urls),
        "reference": {key: value for key, value in times.items() if value is not None},
        "demo_text": list(sentences),
    }


def _pipeline(
    path: Path, overrides: Mapping[str, Any], voices: Mapping[str, Any]
) -> VoiceCloningPipeline:
    """The pipeline of a config file, or of its models and limits with other ``voices``."""
    if not voices:
        return VoiceCloningPipeline.from_file(path, overrides)
    values = read_file(path) if path.is_file() else {}
    config = resolve({**values, "voices": voices}, overrides)
    return VoiceCloningPipeline(config, by_hand=by_hand(overrides))


if __name__ == "__main__":
    script()
