"""What becomes of recordings from which nothing, or not all, can be had.

Each must end with exit code 3 and one plain line (or with clips, where there is something to be
had), and a ledger that was written must account for every second.
"""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pipeline
import soundfile
import truth
from pipeline import Source
from truth import Span
from voices import RATE

from vc_core import audio, errors, ledger, manifests, media

SECONDS = 60.0  # of what is made for the purpose
NOISE_DB = -45.0
ROUNDING = 0.001  # seconds by which a ledger's end may differ: stages count in their own rates
DAMAGE = 6_000  # bytes overwritten in the middle of a file
WIDTHS = (18, 12, 6, 8)

GERMAN = """Guten Morgen, meine Damen und Herren. Heute sprechen wir über den Bau von Brücken.
Die erste Brücke in dieser Stadt wurde vor mehr als hundert Jahren aus Holz errichtet. Im Winter
stieg das Wasser so hoch, dass niemand mehr hinüber kam. Danach beschlossen die Bürger, eine neue
Brücke aus Stein zu bauen. Die Arbeiten dauerten elf Jahre, und viele Handwerker kamen von weit
her. Mein Großvater hat mir oft davon erzählt, wie er als Junge die Steine zählte. Am Ende feierten
alle drei Tage lang, und sogar der Bürgermeister tanzte. Heute fahren jeden Tag tausende Autos über
den Fluss. Wer genau hinsieht, findet noch die alten Zeichen der Maurer im Stein."""


@dataclass(frozen=True)
class Outcome:
    """Where a fault ended, with what code and words, and whether its ledger tiles."""

    fault: str
    stage: str
    code: int
    said: str
    ledger: str  # yes, no, or none

    @property
    def plain(self) -> bool:
        """One line that blames the input, where there is nothing to be had; a ledger that tiles."""
        refused = self.code == errors.BAD_INPUT and len(self.said.splitlines()) == 1
        useful = self.code == errors.OK and self.fault in USABLE
        return (refused or useful) and self.ledger != "no"


def survey(folder: Path, recordings: Path) -> list[Outcome]:
    """Run every fault in ``folder``, made from extracted ``recordings``; prints a row each."""
    print("fault             stage       exit  ledger  words")
    outcomes = []
    for name, make in FAULTS.items():
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        source = make(place, recordings)
        if source is None:
            print(f"{name}: skipped, espeak-ng is not installed")
            continue
        outcomes.append(outcome(name, source))
        show(outcomes[-1])
    return outcomes


def outcome(name: str, source: Source) -> Outcome:
    """Send a faulty recording through all stages."""
    stage, ended = pipeline.extract(source, first=None)
    assert ended is not None
    return Outcome(name, stage, ended.code, ended.said, tiles(source))


def show(one: Outcome) -> None:
    """Print a row, its words below one another."""
    lines = one.said.splitlines() or ["(clips were made)" if one.code == errors.OK else "(nothing)"]
    head = "".join(
        text.ljust(width)
        for text, width in zip(
            (one.fault, one.stage, str(one.code), one.ledger), WIDTHS, strict=True
        )
    )
    print(head + lines[-1] + ("" if one.plain else "  MISS"), flush=True)


def tiles(source: Source) -> str:
    """Whether all ledgers beside the recording account for every second of it; or none."""
    found = sorted(source.folder.rglob("*ledger.jsonl"))
    for path in found:
        try:
            rows = manifests.read_rows(path, manifests.LedgerRow)
            ledger.check(rows, rows[-1].end)
            missing = media.probe(source.path("separate")).seconds - rows[-1].end
        except ValueError:
            return "no"
        if abs(missing) > ROUNDING:
            return "no"
    return "yes" if found else "none"


def silence(folder: Path, recordings: Path) -> Source:
    """Nothing but faint noise."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((round(SECONDS * RATE), 2)) * 10 ** (NOISE_DB / 20)
    return laid(folder, noise, recordings)


def no_target(folder: Path, recordings: Path) -> Source:
    """The interview without the turns of the target."""
    told = truth.read(recordings / "interview" / "truth.json")
    others = [s for who, spans in told.speech.items() if who != told.target for s in spans]
    samples = joined(recordings / "interview" / "source.wav", truth.merged(others, 0.4))
    return laid(folder, samples, recordings)


def only_under_music(folder: Path, recordings: Path) -> Source:
    """The recording with music as loud as speech, without the stretch that has none."""
    told = truth.read(recordings / "music-0" / "truth.json")
    return laid(folder, joined(recordings / "music-0" / "source.wav", told.music), recordings)


def damaged(folder: Path, recordings: Path) -> Source:
    """A FLAC with rubbish in its middle."""
    source = laid(folder, soundfile.read(recordings / "interview" / "source.wav")[0], recordings)
    path = folder / "source.flac"
    soundfile.write(path, soundfile.read(source.recording)[0], RATE)
    overwrite(path)
    return replace(source, recording=path)


def damaged_voice(folder: Path, recordings: Path) -> Source:
    """A good recording whose separated voice was damaged on disk afterwards."""
    source = laid(folder, soundfile.read(recordings / "interview" / "source.wav")[0], recordings)
    shutil.copy(recordings / "interview" / "vocals.flac", source.path("separate"))
    overwrite(source.path("separate"))
    return source


def wrong_reference(folder: Path, recordings: Path) -> Source:
    """The interview with the reference of somebody who is not in it."""
    told = truth.read(recordings / "panel" / "truth.json")
    guest = next(spans for who, spans in told.speech.items() if who != told.target)
    samples = joined(recordings / "panel" / "source.wav", guest)[: round(12 * RATE)]
    soundfile.write(folder / "stranger.wav", samples, RATE)
    recording = recordings / "interview" / "source.wav"
    source = Source(folder, recording, folder / "stranger.wav")
    shutil.copy(recordings / "interview" / "vocals.flac", source.path("separate"))
    return source


def two_in_reference(folder: Path, recordings: Path) -> Source:
    """A reference slice in which the guest speaks too."""
    told = truth.read(recordings / "interview" / "truth.json")
    turns = [s for who, spans in told.speech.items() if who != told.target for s in spans]
    before = max(end for _, end in turns if end < told.reference[0])
    recording = recordings / "interview" / "source.wav"
    return Source(folder, recording, recording, (max(0.0, before - 6.0), told.reference[0] + 6.0))


def other_language(folder: Path, recordings: Path) -> Source | None:
    """A monologue in German, while English is asked for."""
    speaker = shutil.which("espeak-ng")
    if speaker is None:
        return None
    spoken = folder / "german.wav"
    subprocess.run([speaker, "-v", "de", "-s", "150", "-w", str(spoken), GERMAN], check=True)
    samples = np.repeat(audio.read(spoken, RATE)[0][:, None], 2, axis=1)
    source = laid(folder, samples, recordings)
    return replace(source, reference=source.recording, span=(2.0, 14.0))


def no_recording(folder: Path, recordings: Path) -> Source:
    """A web page saved under the name of a recording."""
    path = folder / "source.wav"
    path.write_text("<html><body>Not found</body></html>", encoding="utf-8")
    return Source(folder, path, recordings / "interview" / "reference.wav")


FAULTS: dict[str, Callable[[Path, Path], Source | None]] = {
    "silence": silence,
    "no-target": no_target,
    "only-under-music": only_under_music,
    "damaged": damaged,
    "damaged-voice": damaged_voice,
    "wrong-reference": wrong_reference,
    "two-in-reference": two_in_reference,
    "other-language": other_language,
    "no-recording": no_recording,
}


# From these some clips may be had; the others hold nothing of the target's, or cannot be trusted.
USABLE = {"only-under-music"}


def laid(folder: Path, samples: np.ndarray, recordings: Path) -> Source:
    """Samples [frames, 2] as a recording; the reference is the one of the interview."""
    path = folder / "source.wav"
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return Source(folder, path, recordings / "interview" / "reference.wav")


def joined(path: Path, spans: list[Span]) -> np.ndarray:
    """Spans of a file one after the other, [frames, 2]."""
    samples = soundfile.read(path, dtype="float32")[0]
    return np.concatenate([samples[round(a * RATE) : round(b * RATE)] for a, b in spans])


def overwrite(path: Path) -> None:
    """Put rubbish over the middle of a file."""
    rubbish = np.random.default_rng(2).bytes(DAMAGE)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(rubbish)
