"""From recordings to a measured, labelled clone of a consenting speaker's voice."""

import argparse
import importlib.metadata
import sys
from pathlib import Path

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
    run = commands.add_parser("run", help="run the workflow, for a URL or for a config file")
    run.add_argument("url", nargs="*", help="recordings of one voice; none: those of the config")
    run.add_argument("--voice", default="voice", help="name of the voice of the URLs")
    run.add_argument("--consent", help="who consented, how and when; required with a URL")
    run.add_argument("--ref-start", type=float, help="start of the reference slice, seconds")
    run.add_argument("--ref-end", type=float, help="end of the reference slice, seconds")
    run.add_argument("--say", action="append", default=[], help="a sentence to say at the end")
    run.add_argument("--cores", type=int, help="cores to use; default: all")
    run.add_argument("--dry-run", action="store_true", help="only say what would be done")
    run.add_argument("--profile", help="Snakemake profile, such as profiles/slurm")
    show = commands.add_parser("config", help="check the configuration and show it as resolved")
    retry = commands.add_parser("retry", help="forget which sources failed, to try them again")
    offer = commands.add_parser(
        "propose",
        help="list the stretches of a recording that would make a reference",
        epilog="What else is given goes to vc-reference propose, such as --clips FOLDER.",
    )
    offer.add_argument("recording", metavar="URL_OR_FILE", help="the recording")
    for command in (run, show, retry, offer):
        command.add_argument("--config", type=Path, default=CONFIG, help="config file")
    for command in (run, show, retry):
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
        pipeline = _pipeline(args)
        if args.command == "config":
            dumped = pipeline.config.model_dump(mode="json")
            print(yaml.safe_dump(dumped, sort_keys=False, allow_unicode=True), end="")
            return OK
        if args.command == "retry":
            Plan(pipeline.config).retry()
            return OK
        return _run(pipeline, args)
    except (ConfigError, FileNotFoundError) as error:
        print(f"voice-clone: {error}", file=sys.stderr)
        return BAD_INPUT
    except PipelineError as error:
        print(f"voice-clone: {error}", file=sys.stderr)
        return error.exit_code


def script() -> None:
    """Console entry point."""
    sys.exit(main())


def _run(pipeline: VoiceCloningPipeline, args: argparse.Namespace) -> int:
    options = []
    if args.profile:
        # A --profile would come under the default one, whose limits are those of one machine.
        kind = "--workflow-profile" if Path(args.profile).exists() else "--profile"
        options = [kind, args.profile]
    if args.dry_run:
        return pipeline.snakemake(["--cores", "1", "--dry-run", *options])
    report = pipeline.run(args.cores, options)
    failures = pipeline.failures()
    for line in pipeline.told():
        print(f"voice-clone: failed: {line}", file=sys.stderr)
    print(f"report: {report}")
    return BAD_INPUT if failures else OK


def _pipeline(args: argparse.Namespace) -> VoiceCloningPipeline:
    """The pipeline that the command line asks for."""
    overrides: dict[str, object] = {}
    for text in args.set:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text!r}: write KEY=VALUE, such as train.max_steps=50")
        overrides = merge(overrides, nested(key, yaml.safe_load(value)))
    urls = getattr(args, "url", [])
    if not urls:
        return VoiceCloningPipeline.from_file(args.config, overrides)
    if not args.consent:
        raise ConfigError("--consent is missing: say who consented, how and when")
    times = {"start": args.ref_start, "end": args.ref_end}
    reference = {key: value for key, value in times.items() if value is not None}
    voice = {
        "consent": args.consent,
        "sources": urls,
        "reference": reference,
        "demo_text": args.say,
    }
    # The config file gives the models and limits, the command line the voice.
    values = read_file(args.config) if args.config.is_file() else {}
    config = resolve({**values, "voices": {args.voice: voice}}, overrides)
    return VoiceCloningPipeline(config, by_hand=by_hand(overrides))


if __name__ == "__main__":
    script()
