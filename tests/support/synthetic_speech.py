"""Machine-made speech in the layout of the recordings of people that some tests know.

The main voice is the guest of the example recording, without music and without anybody else. The
strangers are its host and four more voices, which voices.opus holds: see make_voices.py.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vc_core import audio

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
INTERVIEW = EXAMPLES / "interview.opus"
MARGIN = 0.15  # seconds of a pause that stay around a sentence
PAUSE = 0.45  # seconds between sentences that are joined
MAIN, STRANGERS = "kathleen", "librispeech"
# Sentences have the numbers of the recordings that tests name: this many, then one said twice.
NUMBERED = 30
THIRD = 2  # place of a sentence that was made for tests, so that numbers can be written two ways
TWICE = ("arctic_b0536", "arctic_b0537")
HOST, HOST_SECONDS = 3, 15.0  # place of the host among the strangers


class Turn(NamedTuple):
    """What one voice says in a recording, with times in seconds."""

    speaker: str
    start: float
    end: float
    text: str


def turns_of(path: Path) -> list[Turn]:
    """The turns that a file of truth lists."""
    told = json.loads(path.read_text("utf-8"))
    return [Turn(t["speaker"], t["start"], t["end"], t["text"]) for t in told["turns"]]


def alone(turns: Sequence[Turn], who: str, music: Sequence[dict[str, float]]) -> list[Turn]:
    """The turns of a speaker in which nobody else is heard, and no music."""
    others = [(turn.start, turn.end) for turn in turns if turn.speaker != who]
    others += [(span["start"], span["end"]) for span in music]
    return [
        turn
        for turn in turns
        if turn.speaker == who
        and all(end <= turn.start - MARGIN or start >= turn.end + MARGIN for start, end in others)
    ]


def cut(samples: audio.Samples, rate: int, turn: Turn, margin: float) -> audio.Samples:
    """The sound of a turn, with a margin in seconds around it."""
    start, end = turn.start - margin, turn.end + margin
    return samples[max(0, round(start * rate)) : round(end * rate)]


def write(folder: Path) -> Path:
    """Write the layout into a folder, and return it.

    ``kathleen/flac24k/<name>.flac`` at 24 kHz with ``kathleen/metadata.csv`` (``name|text``), and
    ``librispeech/<speaker>.flac`` at 16 kHz, of 10 s at least.
    """
    talk, _ = audio.read(INTERVIEW, audio.TTS_RATE)
    truth = EXAMPLES / "interview.truth.json"
    turns, music = turns_of(truth), json.loads(truth.read_text("utf-8"))["music"]
    voices, _ = audio.read(HERE / "voices.opus", audio.TTS_RATE)
    extra = turns_of(HERE / "voices.json")

    said = [
        (turn.text, cut(talk, audio.TTS_RATE, turn, MARGIN))
        for turn in alone(turns, "guest", music)
    ]
    twice = [
        (turn.text, cut(voices, audio.TTS_RATE, turn, MARGIN))
        for turn in extra
        if turn.speaker == "guest"
    ]
    said.insert(THIRD, twice[0])
    names = [f"arctic_a{number:04d}" for number in range(1, NUMBERED + 1)]
    _write_main(folder / MAIN, [*zip(names, said, strict=False), *zip(TWICE, twice, strict=True)])

    pause = np.zeros(round(PAUSE * audio.TTS_RATE), np.float32)
    host = [cut(talk, audio.TTS_RATE, turn, 0.0) for turn in alone(turns, "host", music)]
    joined = np.concatenate([part for sound in host for part in (sound, pause)])
    strangers = [
        (turn.speaker, cut(voices, audio.TTS_RATE, turn, 0.0))
        for turn in extra
        if turn.speaker != "guest"
    ]
    strangers.insert(HOST, ("host", joined[: round(HOST_SECONDS * audio.TTS_RATE)]))
    (folder / STRANGERS).mkdir()
    for number, (name, sound) in enumerate(strangers):
        at_16_khz = audio.resample(sound, audio.TTS_RATE, audio.ENGINE_RATE)
        audio.write(folder / STRANGERS / f"{number}-{name}.flac", at_16_khz, audio.ENGINE_RATE)
    return folder


def _write_main(folder: Path, clips: Sequence[tuple[str, tuple[str, audio.Samples]]]) -> None:
    (folder / "flac24k").mkdir(parents=True)
    rows = []
    for name, (text, sound) in clips:
        audio.write(folder / "flac24k" / f"{name}.flac", sound, audio.TTS_RATE)
        rows.append(f"{name}|{text}\n")
    (folder / "metadata.csv").write_text("".join(rows), "utf-8")
