"""Real speech: LibriSpeech's files, written down by Whisper and cut at their quietest points."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from models.data.clips import SECONDS, Take

from vc_common import audio
from vc_common.audio import ENGINE_RATE, Samples
from vc_common.audio import TTS_RATE as RATE
from vc_common.whisper import HeardWord, Transcriber

# Speaker, chapter, utterance. Files of other names, such as another corpus's, are left alone.
NAME = re.compile(r"(\d+)-\d+-\d+\.flac")
CONFIDENCE = 0.75  # mean probability of a piece's words; Whisper is wrong more often below
REACH = 0.15  # seconds around a word's edge, searched for the quietest point


def recordings(folder: Path) -> list[Path]:
    """LibriSpeech's files anywhere in ``folder``."""
    found = sorted(path for path in folder.rglob("*.flac") if NAME.fullmatch(path.name))
    if not found:
        raise ValueError(f"{folder}: holds no LibriSpeech files such as 84-121123-0001.flac")
    return found


def quietest(samples: Samples, around: float) -> tuple[float, float]:
    """Level (dB) and time (s) of the quietest 20 ms of 24 kHz ``samples`` near a time."""
    frame = RATE // 50
    first = max(0, round((around - REACH) * RATE))
    near = samples[first : first + round(2 * REACH * RATE)]
    frames = near[: len(near) // frame * frame].reshape(-1, frame)
    levels = [audio.rms_db(one) for one in frames]
    place = int(np.argmin(levels))
    return levels[place], (first + (place + 0.5) * frame) / RATE


def pieces(
    samples: Samples, words: Sequence[HeardWord], start: float, end: float
) -> Iterator[tuple[float, float, Sequence[HeardWord]]]:
    """Parts of [start, end) that are short enough, cut between words; their words."""
    if end - start <= SECONDS[1] - 0.2 or len(words) < 2:
        yield start, end, words
        return
    middle = (start + end) / 2
    # Cuts near the edges would leave crumbs.
    inner = [n for n in range(1, len(words)) if abs(words[n].start - middle) < (end - start) / 3]
    cuts = [
        (*quietest(samples, (words[n - 1].end + words[n].start) / 2), n)
        for n in inner or [len(words) // 2]
    ]
    _, time, number = min(cuts)
    yield from pieces(samples, words[:number], start, time)
    yield from pieces(samples, words[number:], time, end)


def librispeech_takes(paths: Sequence[Path], first: int) -> Iterator[Take]:
    """The clips of some files, up to ten of each; words in doubt leave an empty text."""
    whisper = Transcriber(device="cpu", threads=1)
    for place, path in enumerate(paths):
        low, _ = audio.read(path, ENGINE_RATE)
        samples = audio.resample(low, ENGINE_RATE, RATE)
        words = whisper.hear(low, "en").words
        found = list(pieces(samples, words, 0.0, len(samples) / RATE))
        for number, (start, end, said) in enumerate(found[:10]):
            text = "".join(word.word for word in said).strip()
            sure = said and np.mean([word.confidence for word in said]) >= CONFIDENCE
            # Figures can be read aloud in several ways.
            if not sure or re.search(r"\d", text):
                text = ""
            speaker = path.name.split("-")[0]
            cut = samples[round(start * RATE) : round(end * RATE)]
            yield Take(f"{first + 10 * place + number:06d}", f"librispeech-{speaker}", text, cut)
