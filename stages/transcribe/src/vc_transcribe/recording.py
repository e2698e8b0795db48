"""A recording of any length, of which only the wanted spans are read."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from vc_core import audio
from vc_core.audio import ENGINE_RATE, Samples
from vc_core.errors import InputError

FRAME = 0.02  # seconds over which loudness is taken to find a quiet moment


class Recording:
    """Spans of an open file as 16 kHz mono samples."""

    def __init__(self, path: Path, file: soundfile.SoundFile) -> None:
        self.path = path
        self._file = file
        self.seconds = file.frames / file.samplerate

    def cut(self, start: float, end: float) -> Samples:
        """Samples [frames] of [start, end) seconds, which may reach over the file's ends."""
        rate = self._file.samplerate
        first = max(0, round(start * rate))
        count = round(end * rate) - first
        try:
            self._file.seek(min(first, self._file.frames))
            samples = self._file.read(max(0, count), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise InputError(
                f"{self.path}: damaged after {start:.1f} s ({error}); make it again"
            ) from None
        return audio.resample(samples.mean(axis=1), rate, ENGINE_RATE)

    def quietest(self, start: float, end: float) -> float:
        """The middle of the quietest moment in [start, end) seconds."""
        size = round(FRAME * ENGINE_RATE)
        samples = self.cut(start, end)
        whole = len(samples) // size * size
        if not whole:
            return (start + end) / 2
        energy = np.square(samples[:whole]).reshape(-1, size).mean(axis=1)
        # A pause is longer than the closure of a consonant.
        smooth = np.convolve(energy, np.ones(5), mode="same")
        return start + (int(smooth.argmin()) + 0.5) * FRAME


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Recording]:
    """The recording, ready to be read from; raises InputError when it is no audio."""
    with audio.opened(path, seekable=True) as file:
        yield Recording(path, file)
