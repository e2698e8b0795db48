"""Make voices.opus and voices.json: machine-made voices that stand in for recordings of people.

Needs what examples/README.md names under "Make it again". In the project's root:

    python tests/support/make_voices.py package/voices
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import yaml

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

from kokoro_voice import RATE, Kokoro  # noqa: E402
from piper_voice import Piper  # noqa: E402

BETWEEN_SENTENCES, BETWEEN_SPEAKERS = 0.45, 1.0  # seconds of silence
PEAK = 0.5
TWICE = "For the twentieth time that evening the two men shook hands."
# The guest of the example recording.
GUEST = yaml.safe_load((EXAMPLES / "interview.yaml").read_text("utf-8"))["speakers"]["guest"]
# Speaker (the guest, or a stranger by the voice's name), voice, speed, sentences.
SAID = (
    ("guest", GUEST["voice"], 0.7, (TWICE,)),
    ("guest", GUEST["voice"], GUEST["speed"], (TWICE,)),
    (
        *("george", "bm_george", 1.0),
        (
            "The clock in the tower has been eleven minutes slow since the war.",
            "Visitors complain about it, and the village is rather proud.",
            "Trains are missed there with great dignity.",
        ),
    ),
    (
        *("emma", "bf_emma", 1.0),
        (
            "My brother collects maps of towns that were never built.",
            "He keeps them rolled up in an old umbrella stand by the door.",
            "On rainy Sundays we plan imaginary journeys, and we pack real cake.",
        ),
    ),
    (
        *("fenrir", "am_fenrir", 1.0),
        (
            "The ferry left the harbor before sunrise, and nobody waved.",
            "A gull sat on the railing and watched the sandwiches with patience.",
            "By noon the island was a thin blue line, and then it was nothing at all.",
        ),
    ),
    (
        *("bella", "af_bella", 0.95),
        (
            "We planted the beans too early, as we do every single year.",
            "The frost came on a Tuesday and took them all.",
            "Now the whole bed is full of cheerful weeds, and we call it a meadow.",
        ),
    ),
)


def make(voices: Path) -> None:
    """Write the sound, and beside it who says what when, in seconds."""
    kokoro, piper = Kokoro(voices, cache=None, threads=1, seed=1), Piper(threads=1, seed=1)
    parts: list[np.ndarray] = []
    turns, at = [], 0

    def add(samples: np.ndarray) -> None:
        nonlocal at
        parts.append(samples)
        at += len(samples)

    for speaker, voice, speed, sentences in SAID:
        start = at
        for number, text in enumerate(sentences):
            if number:
                add(np.zeros(round(BETWEEN_SENTENCES * RATE), np.float32))
            said = (piper if speaker == "guest" else kokoro).say(text, voice, speed)
            add(said * (PEAK / np.abs(said).max()))
        turns.append(
            {
                "speaker": speaker,
                "start": round(start / RATE, 3),
                "end": round(at / RATE, 3),
                "text": " ".join(sentences),
            }
        )
        add(np.zeros(round(BETWEEN_SPEAKERS * RATE), np.float32))
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "voices.wav"
        soundfile.write(wav, np.concatenate(parts), RATE)
        command = ["ffmpeg", "-v", "error", "-y", "-i", wav, "-c:a", "libopus", "-b:a", "24k"]
        subprocess.run([*command, "-vbr", "on", HERE / "voices.opus"], check=True)
    text = json.dumps({"turns": turns}, indent=1)
    (HERE / "voices.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
