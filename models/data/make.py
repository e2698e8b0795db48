"""Make the speech that the small models learn from: hours of it, in many voices.

    python models/data/make.py -o work/data --hours 8 --voices package/voices \
        --speech path/to/librispeech --jobs 2

`--hours` counts synthetic speech; real speech comes on top. A run that was stopped goes on where
it was, and more hours add to what is there. models/data/README.md says what to install.
"""

import argparse
import itertools
import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from models.data import clips, lexicon, texts
from models.data.clips import Take, Tally

SEED = 20260111
# Shares of the synthetic hours. Kokoro speaks better and ten times more slowly than Piper.
SHARES = {"piper": 0.77, "kokoro": 0.20, "held": 0.03}
SHARD = {"piper": 30, "kokoro": 12, "held": 12, "librispeech": 8}  # texts, or files
TAKES = {"piper": 2, "kokoro": 1, "held": 1, "librispeech": 10}  # clips of each, at most
SENTENCE_SECONDS = 2.3  # mean, of what is kept and what is skipped
SOURCES = ("piper", "kokoro", "librispeech")


@dataclass(frozen=True)
class Job:
    """A shard to make. ``inputs`` are sentences, or files; ``names`` the voices to choose from."""

    folder: Path
    part: str
    number: int
    seed: int
    inputs: tuple[str, ...]
    voices: Path
    names: tuple[str, ...]

    @property
    def source(self) -> str:
        """Whose speech it is; the held-out part is spoken by Kokoro."""
        return "kokoro" if self.part == "held" else self.part

    @property
    def split(self) -> str:
        """What it may be used for."""
        return "held" if self.part == "held" else "train"


def takes(job: Job) -> Iterator[Take]:
    """The clips of a shard, as its voice gives them."""
    from models.data import real, voices

    first = job.number * SHARD[job.part] * TAKES[job.part]
    seed = job.seed + 7919 * job.number
    if job.part == "piper":
        yield from voices.Piper(seed).takes(job.inputs, first)
    elif job.part == "librispeech":
        yield from real.librispeech_takes([Path(path) for path in job.inputs], first)
    else:
        made = voices.kokoro_takes(job.voices, job.names, job.inputs, first, seed)
        prefix = "h" if job.part == "held" else ""
        yield from (Take(f"{prefix}{t.name}", t.speaker, t.text, t.samples) for t in made)


def do(job: Job) -> Tally:
    """Make a shard, in a process of its own."""
    return clips.write_shard(job.folder, job.source, job.split, job.number, takes(job))


def shard_count(part: str, hours: float, parts: Sequence[str]) -> int:
    """How many shards of a synthetic part ``hours`` of all parts ask for."""
    whole = sum(SHARES[p] for p in parts)
    seconds = 3600 * hours * SHARES[part] / whole
    return max(1, round(seconds / (SHARD[part] * TAKES[part] * SENTENCE_SECONDS)))


def batches(inputs: Iterator[str], size: int, count: int) -> list[tuple[str, ...]]:
    """At most ``count`` batches of ``size`` inputs; the last may be smaller."""
    made = (tuple(itertools.islice(inputs, size)) for _ in range(count))
    return list(itertools.takewhile(bool, made))


def inputs_of(part: str, args: argparse.Namespace, parts: Sequence[str]) -> list[tuple[str, ...]]:
    """What each shard of a part is made from."""
    if part == "librispeech":
        from models.data.real import recordings

        return batches(map(str, recordings(args.speech)), SHARD[part], sys.maxsize)
    sentences = texts.stream(part, args.seed, lexicon.load())
    return batches(sentences, SHARD[part], shard_count(part, args.hours, parts))


def plan(args: argparse.Namespace, voices: Path) -> list[Job]:
    """All shards of a run, those of the parts taking turns, so that a short run has of each."""
    wanted = [part for part in SOURCES if part in args.only]
    parts = [*wanted, *(["held"] if "kokoro" in wanted else [])]
    names: dict[str, tuple[str, ...]] = {}
    if "kokoro" in parts:
        from models.data.voices import HELD_VOICES, write_voices

        names["kokoro"] = tuple(write_voices(args.voices, voices, args.seed))
        names["held"] = HELD_VOICES
    jobs: list[tuple[float, Job]] = []
    for part in parts:
        found = inputs_of(part, args, [p for p in parts if p in SHARES])
        for number, batch in enumerate(found):
            job = Job(args.output, part, number, args.seed, batch, voices, names.get(part, ()))
            jobs.append((number / len(found), job))
    return [job for _, job in sorted(jobs, key=lambda pair: pair[0])]


def unfinished(jobs: Sequence[Job]) -> list[Job]:
    """The shards without rows."""
    return [j for j in jobs if clips.missing(j.folder, j.source, j.split, [j.number])]


def run(jobs: Sequence[Job], workers: int) -> None:
    """Make the shards, several at a time; says how far it is after each."""
    began = time.monotonic()
    sums = Tally(0, 0.0, 0)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, max_tasks_per_child=50) as pool:
        waiting = {pool.submit(do, job): job for job in jobs}
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                made = future.result()
                sums = Tally(
                    sums.kept + made.kept, sums.seconds + made.seconds, sums.skipped + made.skipped
                )
                print(
                    f"{done}/{len(jobs)} {waiting[future].part}: {sums.kept} clips, "
                    f"{sums.seconds / 60:.1f} min, {sums.skipped} skipped, "
                    f"{time.monotonic() - began:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )
        finally:
            # Without this a stopped run would first make all that is waiting.
            pool.shutdown(cancel_futures=True)


def sources(text: str) -> list[str]:
    """Argument type: names of sources with commas between."""
    names = text.split(",")
    if unknown := set(names) - set(SOURCES):
        raise argparse.ArgumentTypeError(f"{unknown}: choose from {', '.join(SOURCES)}")
    return names


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the clips")
    parser.add_argument("--hours", type=float, default=8.0, help="of synthetic speech")
    parser.add_argument("--only", type=sources, default=list(SOURCES), help="piper,kokoro, ...")
    parser.add_argument("--voices", type=Path, help="folder of Kokoro's voices")
    parser.add_argument("--speech", type=Path, help="folder of LibriSpeech files")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="default: %(default)s")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Make what is missing, then the manifest."""
    parser = build_parser()
    args = parser.parse_args(argv)
    for source, option in (("kokoro", "voices"), ("librispeech", "speech")):
        if source in args.only and getattr(args, option) is None:
            parser.error(f"{source} needs --{option}; or leave it out with --only")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    args.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as voices:
        jobs = unfinished(plan(args, Path(voices)))
        try:
            run(jobs, args.jobs)
        except KeyboardInterrupt:
            print("stopped; the same command goes on from here", file=sys.stderr)
            return 143
        finally:
            rows = clips.collect(args.output)
    hours = sum(row.seconds for row in rows) / 3600
    speakers = len({row.speaker for row in rows})
    print(
        f"wrote {args.output}/metadata.jsonl: {len(rows)} clips, {hours:.2f} h, {speakers} voices"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
