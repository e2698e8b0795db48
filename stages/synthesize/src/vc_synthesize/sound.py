"""Speech as it leaves: silence cut from its ends, marked and written as it comes."""

import time
from typing import BinaryIO, Protocol

import numpy as np

from vc_core.audio import TTS_RATE, Samples
from vc_speech import label, watermark

WINDOW = 0.01  # seconds whose level is looked at
SILENT_DB = -45.0  # windows below are silence
EDGE = 0.05  # seconds of silence that are kept at either end
FADE = 0.005  # seconds over which a block's mark comes and goes


class Filter(Protocol):
    """Something that sound passes through piece by piece."""

    def feed(self, samples: Samples) -> Samples:
        """What can leave, now that these samples came."""

    def close(self) -> Samples:
        """What is left at the end."""


class Trim:
    """Cuts the silence before and after speech, but for an edge."""

    def __init__(self, rate: int) -> None:
        self._window = round(WINDOW * rate)
        self._edge = round(EDGE * rate)
        self._held: Samples = np.zeros(0, dtype=np.float32)
        self._begun = False

    def feed(self, samples: Samples) -> Samples:
        """Speech up to its last loud window; what follows is held back until more is known."""
        held = np.concatenate([self._held, samples])
        whole = len(held) // self._window * self._window
        power = np.mean(np.square(held[:whole].reshape(-1, self._window)), axis=1)
        loud = np.flatnonzero(power > 10 ** (SILENT_DB / 10))
        if not len(loud):
            self._held = held if self._begun else held[max(0, whole - self._edge) :]
            return held[:0]
        start = 0 if self._begun else max(0, int(loud[0]) * self._window - self._edge)
        end = (int(loud[-1]) + 1) * self._window
        self._begun = True
        self._held = held[end:]
        return held[start:end]

    def close(self) -> Samples:
        """The edge after speech; nothing where there was none."""
        return self._held[: self._edge] if self._begun else self._held[:0]


class Mark:
    """Watermarks speech block by block; each fades in and out, so that none begins with a click.

    A last block too short for a mark stays as it is.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._held: Samples = np.zeros(0, dtype=np.float32)

    def feed(self, samples: Samples) -> Samples:
        """All there is, once it is long enough to carry the mark."""
        held = np.concatenate([self._held, samples])
        if len(held) < watermark.SHORTEST * self._rate:
            self._held = held
            return held[:0]
        self._held = held[:0]
        change: Samples = watermark.mark(held, self._rate) - held
        ramp = np.linspace(0, 1, round(FADE * self._rate), dtype=np.float32)
        change[: len(ramp)] *= ramp
        change[-len(ramp) :] *= ramp[::-1]
        marked: Samples = held + change
        return marked

    def close(self) -> Samples:
        """The rest, unmarked."""
        return self._held


class Resample:
    """Changes the rate without a seam between pieces."""

    def __init__(self, old: int, new: int) -> None:
        import soxr

        self._stream = soxr.ResampleStream(old, new, 1, dtype="float32", quality="HQ")

    def feed(self, samples: Samples) -> Samples:
        """As much as the filter lets through."""
        out: Samples = self._stream.resample_chunk(samples)
        return out

    def close(self) -> Samples:
        """What it held back."""
        out: Samples = self._stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
        return out


class Chain:
    """Several filters, one after the other."""

    def __init__(self, *filters: Filter) -> None:
        self._filters = filters

    def feed(self, samples: Samples) -> Samples:
        """Through all of them."""
        for each in self._filters:
            samples = each.feed(samples)
        return samples

    def close(self) -> Samples:
        """What every filter held back, through those after it."""
        rest = np.zeros(0, dtype=np.float32)
        for each in self._filters:
            rest = np.concatenate([each.feed(rest), each.close()])
        return rest


class WavStream:
    """A WAV of unknown length, labelled as synthetic, to a pipe."""

    def __init__(self, pipe: BinaryIO, rate: int, model: str, marking: bool) -> None:
        """``rate`` is that of the samples to come, in Hz."""
        filters: list[Filter] = [] if rate == TTS_RATE else [Resample(rate, TTS_RATE)]
        self._chain = Chain(*filters, *([Mark(TTS_RATE)] if marking else []))
        self._pipe = pipe
        self._header = label.stream_header(model)
        self.seconds = 0.0
        self.first_sound: float | None = None  # when it left, by time.perf_counter

    def open(self) -> None:
        """Send the header, so that a player can get ready."""
        self._pipe.write(self._header)
        self._pipe.flush()

    def write(self, samples: Samples) -> None:
        """Let samples go on, as far as they can."""
        self._send(self._chain.feed(samples))

    def close(self) -> None:
        """Let the rest go."""
        self._send(self._chain.close())

    def _send(self, samples: Samples) -> None:
        self._pipe.write(label.pcm(samples))
        self._pipe.flush()
        self.seconds += len(samples) / TTS_RATE
        if len(samples) and self.first_sound is None:
            self.first_sound = time.perf_counter()


def trimmed(samples: Samples, rate: int) -> Samples:
    """Speech with the silence cut from its ends, but for an edge."""
    trim = Trim(rate)
    return np.concatenate([trim.feed(samples), trim.close()])
