"""A thousand sources: the workflow's downloads against plain ``yt-dlp -a list``, on one site.

    python benchmarks/download.py                  # half an hour
    python benchmarks/download.py --sources 100    # a quick look

The sources are cuts of the shipped interview, each another one, as Opus, MP3, AAC and WAV; one in
twenty has a fault, of all kinds in turn. The site, a process of its own on the loopback interface,
sends on each connection so many bytes a second (--rate), as far away sites do; a recording takes
--seconds on its way. Three runs:

- plain: as many processes of ``yt-dlp -a list -x --audio-format wav`` as the workflow downloads at
  once, each with its share of the list. Faults that never end for it are not on its list.
- workflow: ``snakemake --until download``, every job a vc-download.
- job start: the same workflow, with a shell script in the place of vc-download that makes the
  outputs: what Snakemake itself takes.

Right is a recording of the length of what was sent (and, of the workflow, with its checksum), and
a fault told with its reason. CPU seconds are those of all processes but the site's.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import loopback
import refused
import yaml
from loopback import Answer

from vc_core import files, media

ROOT = Path(__file__).parent.parent
INTERVIEW = ROOT / "examples" / "interview.opus"
BIN = Path(sys.executable).parent

RATE = 100_000  # bytes a second on a connection
SECONDS = (3.0, 5.0)  # that a recording takes on its way
RATIO = 1.5  # of plain yt-dlp's time that the workflow may take
NEAR = 0.1  # seconds by which a length may differ: ffmpeg leaves the last block of AAC full
RETRY_AFTER = 2.0  # seconds
RETRY_WAIT = 1.0  # seconds before a second attempt: the usual 30 would be nothing but waiting
BATCH = 20  # recordings made by one ffmpeg

# By ending: how ffmpeg makes it, its content type, bytes a second.
CODECS: dict[str, tuple[list[str], str, int]] = {
    "opus": (["-c:a", "libopus", "-b:a", "64k"], "audio/ogg", 8_000),
    "mp3": (["-c:a", "libmp3lame", "-b:a", "64k"], "audio/mpeg", 8_000),
    "m4a": (["-c:a", "aac", "-b:a", "64k"], "audio/mp4", 8_000),
    "wav": (["-c:a", "pcm_s16le"], "audio/x-wav", 32_000),
}

STAND_IN = """#!/bin/sh
while [ "$1" != --output ]; do shift; done
echo audio > "$2"; echo {} > "${2%.wav}.json"; echo {} > "$2.run.json"
"""


@dataclass(frozen=True)
class Source:
    """A source by its name: what the site answers, and what is to become of it."""

    name: str
    answers: tuple[Answer, ...]
    url: str = ""  # where it is not on the site
    reason: str = ""  # why it cannot be had; "" where it can
    for_ever: bool = False
    seconds: float = 0.0
    sha256: str = ""

    def at(self, site: str) -> str:
        return self.url or f"{site}/{self.name}"


@dataclass
class Outcome:
    """What a run took, and what it made of the sources."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    arrived: int = 0
    wrong: int = 0
    missing: int = 0
    reasons_right: int = 0
    reasons_wrong: int = 0


def recordings(
    folder: Path, count: int, rate: int, way: Sequence[float], chance: random.Random
) -> list[tuple[Path, float]]:
    """``count`` cuts of the interview, no two of them the same, and how many seconds they last."""
    whole = folder / "interview.wav"
    ffmpeg("-i", str(INTERVIEW), "-ar", "16000", "-ac", "1", str(whole))
    length = media.probe(whole).seconds
    made, options = [], []
    for number in range(count):
        ending = list(CODECS)[number % len(CODECS)]
        how, _, speed = CODECS[ending]
        seconds = chance.uniform(*way) * rate / speed
        start = chance.uniform(0, length - seconds)
        made.append((folder / f"r{number:04}.{ending}", seconds))
        cut = ["-ss", f"{start:.4f}", "-t", f"{seconds:.3f}", "-map_metadata", "-1"]
        options.append([*cut, *how, str(made[-1][0])])
    for first in range(0, count, BATCH):
        batch = options[first : first + BATCH]
        ffmpeg("-i", str(whole), *(word for words in batch for word in words))
    return made


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments], check=True)


def sources(
    folder: Path, count: int, share: float, rate: int, way: Sequence[float], seed: int
) -> list[Source]:
    """The sources, good and bad, in random order."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    ill = round(count * share)
    made = recordings(folder, count, rate, way, chance)
    good = [recorded(path, seconds, rate) for path, seconds in made]
    whole, troubled = good[ill:], good[:ill]
    wav, mp3 = ((folder / one.name).read_bytes() for one in (at(good, ".wav"), at(good, ".mp3")))
    faults = refused.faults(wav, mp3)
    kinds = [*faults, *refused.passing_trouble(Answer(), 0)]
    bad = []
    for number, source in enumerate(troubled):
        kind = kinds[number % len(kinds)]
        fault = faults.get(kind)
        if fault is None:
            better = refused.passing_trouble(source.answers[0], RETRY_AFTER)[kind]
            bad.append(dataclasses.replace(source, answers=better))
            continue
        answers = tuple(dataclasses.replace(answer, rate=rate) for answer in fault.answers)
        name = f"{kind}-{number}"
        bad.append(Source(name, answers, fault.url, fault.reason, for_ever=fault.for_ever))
    return chance.sample([*whole, *bad], count)


def recorded(path: Path, seconds: float, rate: int) -> Source:
    """A source that is there: a file, sent at ``rate``."""
    answer = Answer(200, path, CODECS[path.suffix[1:]][1], rate=rate)
    return Source(path.name, (answer,), seconds=seconds, sha256=files.sha256(path))


def at(those: Sequence[Source], ending: str) -> Source:
    """The first source with that ending."""
    return next(source for source in those if source.name.endswith(ending))


@contextlib.contextmanager
def site(folder: Path, those: Sequence[Source]) -> Iterator[str]:
    """A new site with the sources, in a process of its own; yields its address."""
    folder.mkdir(exist_ok=True)
    spec = folder / "site.json"
    told = {f"/{one.name}": loopback.to_spec(one.answers, folder) for one in those if one.answers}
    spec.write_text(json.dumps(told), "utf-8")
    command = [sys.executable, str(Path(loopback.__file__)), "--spec", str(spec)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        # Leaving the block closes its stdin, and it stops.
        yield it.stdout.readline().strip()


@contextlib.contextmanager
def measured() -> Iterator[Outcome]:
    """An outcome with the time of the block, and the CPU time of the processes it waited for."""
    outcome, before = Outcome(), resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    yield outcome
    outcome.seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    outcome.cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def plain(folder: Path, those: Sequence[Source], parallel: int) -> Outcome:
    """Processes of yt-dlp side by side, each with its share of the list."""
    wanted = [source for source in those if not source.for_ever]
    with site(folder, those) as address:
        lists = [folder / f"list-{number}.txt" for number in range(parallel)]
        for number, path in enumerate(lists):
            path.write_text("".join(f"{one.at(address)}\n" for one in wanted[number::parallel]))
        command = [str(BIN / "yt-dlp"), "--ignore-config", "--quiet", "--no-warnings"]
        command += ["--extract-audio", "--audio-format", "wav", "--ignore-errors"]
        command += ["--output", str(folder / "%(id)s.%(ext)s"), "--batch-file"]
        with measured() as outcome:
            running = [
                subprocess.Popen([*command, str(path)], stderr=subprocess.DEVNULL) for path in lists
            ]
            for process in running:
                process.wait()
    for source in those:
        if not source.reason:
            count(outcome, source, folder / f"{Path(source.name).stem}.wav")
    return outcome


def workflow(folder: Path, those: Sequence[Source], parallel: int, stand_in: bool) -> Outcome:
    """Snakemake until all is downloaded; with a stand-in for vc-download it takes no notice."""
    with site(folder, those) as address:
        environment = prepared(folder, those, address, stand_in)
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--cores", str(parallel), "--resources", f"downloads={parallel}"]
        with measured() as outcome, (folder / "said.txt").open("w") as said:
            subprocess.run(
                [*command, "--until", "download"],
                cwd=folder,
                env=environment,
                stdout=said,
                stderr=said,
                check=stand_in,
            )
    if not stand_in:
        judge(outcome, folder, those)
    return outcome


def prepared(folder: Path, those: Sequence[Source], address: str, stand_in: bool) -> dict[str, str]:
    """Write the configuration, and the stand-in where it is wanted; returns the environment."""
    rows = [f"{name_of(source)}\t{source.at(address)}" for source in those]
    (folder / "sources.tsv").write_text("\n".join(["id\turl", *rows]) + "\n")
    voice = {"consent": "A benchmark: a synthetic voice", "sources_file": "sources.tsv"}
    (folder / "config.yaml").write_text(yaml.safe_dump({"voices": {"ada": voice}}))
    path = os.environ["PATH"]
    if stand_in:
        command = folder / "bin" / "vc-download"
        command.parent.mkdir()
        command.write_text(STAND_IN)
        command.chmod(0o755)
        path = f"{command.parent}{os.pathsep}{path}"
    return {
        **os.environ,
        "PATH": path,
        "DOWNLOAD_ALLOW_HOSTS": "127.0.0.1",
        "DOWNLOAD_RETRY_WAIT": str(RETRY_WAIT),
    }


def name_of(source: Source) -> str:
    return source.name.replace(".", "-")


def judge(outcome: Outcome, folder: Path, those: Sequence[Source]) -> None:
    """Compare what the workflow left with what was to become of the sources."""
    told = files.read_json(folder / "results" / "failures.json")["failures"]
    reasons = {row["source"]: row["reason"] for row in told}
    for source in those:
        name = name_of(source)
        wav = folder / "work" / "ada" / name / "source.wav"
        if not source.reason:
            count(outcome, source, wav, wav.with_suffix(".json"))
        right = reasons.get(name, "") == source.reason and wav.exists() != bool(source.reason)
        if not right:
            print(f"  {name}: {reasons.get(name)} and not {source.reason or 'there'}")
        outcome.reasons_right += bool(source.reason) and right
        outcome.reasons_wrong += not right


def count(outcome: Outcome, source: Source, wav: Path, provenance: Path | None = None) -> None:
    """Count a source that could be had as arrived, wrong or missing."""
    if not wav.exists():
        outcome.missing += 1
        return
    with wave.open(str(wav)) as file:
        seconds = file.getnframes() / file.getframerate()
    right = abs(seconds - source.seconds) <= NEAR
    if provenance:
        told: Mapping[str, Any] = files.read_json(provenance)
        right = right and told["original"]["sha256"] == source.sha256
    outcome.arrived += right
    outcome.wrong += not right


def show(name: str, outcome: Outcome, told: bool = True) -> None:
    row = f"{name:10} {outcome.seconds:8.1f} {outcome.cpu_seconds:8.1f}"
    if told:
        row += f" {outcome.arrived:8} {outcome.wrong:6} {outcome.missing:8}"
    if outcome.reasons_right or outcome.reasons_wrong:
        row += f" {outcome.reasons_right:8} {outcome.reasons_wrong:6}"
    print(row, flush=True)


def compare(folder: Path, args: argparse.Namespace) -> bool:
    """Run all three and print their table; whether the workflow keeps its promises."""
    (folder / "recordings").mkdir()
    those = sources(
        folder / "recordings", args.sources, args.faults, args.rate, args.seconds, args.seed
    )
    ill = sum(bool(source.reason) for source in those)
    size = sum(answer.size for one in those if not one.reason for answer in one.answers[-1:])
    print(
        f"{len(those)} sources, {ill} of them not to be had; {args.rate / 1000:.0f} kB/s a "
        f"connection, {size / args.rate / (len(those) - ill):.1f} s a recording; "
        f"{args.parallel} at a time on {os.cpu_count()} CPUs; seed {args.seed}"
    )
    print("               s    CPU s  arrived  wrong  missing  reasons  wrong", flush=True)
    bare = plain(folder / "plain", those, args.parallel)
    show("plain", bare)
    ours = workflow(folder / "workflow", those, args.parallel, stand_in=False)
    show("workflow", ours)
    starts = workflow(folder / "starts", those, args.parallel, stand_in=True)
    show("job start", starts, told=False)
    ratio = (ours.seconds - starts.seconds) / bare.seconds
    met = ratio <= RATIO and not ours.wrong and not ours.missing and not ours.reasons_wrong
    print(
        f"workflow / plain {ours.seconds / bare.seconds:.2f}; (workflow - job start) / plain "
        f"{ratio:.2f}, at most {RATIO}: {'ok' if met else 'MISS'}"
    )
    return met


def main() -> int:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--sources", type=int, default=1000, help="how many")
    parser.add_argument("--parallel", type=int, default=8, help="downloads at a time")
    parser.add_argument("--rate", type=int, default=RATE, help="bytes a second on a connection")
    parser.add_argument(
        "--seconds", type=float, nargs=2, default=SECONDS, help="that a recording takes on its way"
    )
    parser.add_argument("--faults", type=float, default=0.05, help="share of ill sources")
    parser.add_argument("--seed", type=int, default=6, help="of cuts and order")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vc-download-") as folder:
        return 0 if compare(Path(folder), args) else 1


if __name__ == "__main__":
    sys.exit(main())
