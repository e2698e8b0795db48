"""What the stages cost: speed against their bare engines, memory on a long recording."""

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import pipeline
import soundfile
import truth
from pipeline import STAGES, Ended, Source

from vc_core import manifests, media

BARE = Path(__file__).with_name("bare.py")
RATIO = 0.9  # of the bare engine's speed that a stage should keep
MEMORY_MB = 3_000  # that no stage should pass
BLOCK = 10.0  # seconds copied at a time


def speed(source: Source, rounds: int) -> dict[str, float]:
    """Print each stage's audio seconds per CPU second beside its bare engine's; the ratios.

    Both run as programs of their own, in turn, on one thread, so both pay for starting up and
    loading; of each the median of the ``rounds`` counts. The recording went through all stages
    before, so caches are warm. What is heard: all of it for separate and segment, the target's
    rows for transcribe, the clips for curate, the slice for reference.
    """
    print("stage       audio s  CPU s  bare CPU s  audio s / CPU s  bare    ratio")
    ratios = {}
    for stage in STAGES:
        seconds = heard_seconds(source, stage)
        ours, bare = [], []
        for _ in range(rounds):
            bare.append(done([sys.executable, str(BARE), stage, str(source.folder)]))
            ours.append(done(source.command(stage)))
        mine, theirs = (statistics.median(e.cpu_seconds for e in both) for both in (ours, bare))
        ratios[stage] = theirs / mine
        print(
            f"{stage:11} {seconds:7.1f} {mine:6.1f} {theirs:11.1f} {seconds / mine:16.2f} "
            f"{seconds / theirs:5.2f} {ratios[stage]:8.2f} "
            f"{'ok' if ratios[stage] >= RATIO else 'MISS'}",
            flush=True,
        )
    return ratios


def memory(source: Source) -> dict[str, float]:
    """Print the most memory that each stage holds on a recording; MB by stage."""
    seconds = media.probe(source.recording).seconds
    print(f"a recording of {seconds / 3600:.2f} hours\nstage        peak MB  CPU s")
    peaks = {}
    for stage in STAGES:
        ended = done(source.command(stage))
        peaks[stage] = ended.peak_mb
        print(
            f"{stage:11} {ended.peak_mb:8.0f} {ended.cpu_seconds:6.0f} "
            f"{'ok' if ended.peak_mb <= MEMORY_MB else 'MISS'}",
            flush=True,
        )
    return peaks


def lengthened(folder: Path, parts: Sequence[Path], hours: float) -> Source:
    """One recording of ``hours``: the recordings in ``parts``, each time in another order.

    Written block by block. The reference is that of the first part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole, first = folder / "source.wav", truth.read(parts[0] / "truth.json")
    left, turn = hours * 3600, 0
    with soundfile.SoundFile(parts[0] / "source.wav") as model:
        rate, channels = model.samplerate, model.channels
    with soundfile.SoundFile(whole, "w", rate, channels, "PCM_16", format="RF64") as out:
        while left > 0:
            for part in [*parts[turn % len(parts) :], *parts[: turn % len(parts)]]:
                for block in soundfile.blocks(part / "source.wav", round(BLOCK * rate)):
                    if left > 0:
                        out.write(block)
                        left -= len(block) / rate
            turn += 1
    return Source(folder, whole, whole, first.reference)


def heard_seconds(source: Source, stage: str) -> float:
    """Seconds of audio that the engines of a stage hear."""
    if stage == "transcribe":
        rows = manifests.read_rows(source.path("segment"), manifests.Segment)
        return float(sum(row.end - row.start for row in rows if row.label == "target"))
    if stage == "curate":
        clips = source.path("curate").glob("*.flac")
        return float(sum(soundfile.info(clip).duration for clip in clips))
    return media.probe(
        source.path("reference") if stage == "reference" else source.recording
    ).seconds


def done(command: Sequence[str]) -> Ended:
    """Run a command that is to succeed; raises RuntimeError with its last words otherwise."""
    ended = pipeline.run(command)
    if ended.code:
        raise RuntimeError(f"{' '.join(command[:2])} ended with {ended.code}: {ended.said}")
    return ended
