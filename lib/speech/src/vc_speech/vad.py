"""Where there is speech: voice activity detectors by name.

``silero`` is built in; other packages offer theirs by an entry point: see ``engines``.
"""

from typing import Protocol

import numpy as np

from vc_core import engines
from vc_core.audio import ENGINE_RATE, Samples
from vc_core.errors import InputError

Span = tuple[float, float]

SILERO = "silero"
FRAME = 512  # samples that Silero decides on together
BLOCK = 20_000 * FRAME  # samples (640 s) heard at once: the working memory is several times that
EMPHASIS = 0.95  # what of a sample the next one loses: 19 dB between 300 Hz and 3 kHz
ADDED = 0.3  # seconds from which what is heard with raised treble alone is believed
CONTEXT = 160 * FRAME  # samples heard before and after, so that nothing hangs on a block's edge


class Vad(Protocol):
    """What finds speech."""

    def spans(self, samples: Samples) -> list[Span]:
        """Spans of speech in 16 kHz mono ``samples`` [frames]: ordered, disjoint, in seconds."""
        ...


class Silero:
    """Silero VAD, by the ONNX file that faster-whisper bundles: no torch."""

    def __init__(self, argument: str = "", device: str = "cpu") -> None:
        """Both are what every VAD is called with: Silero takes no argument and knows the CPU."""
        if argument:
            raise InputError(f"vad silero:{argument}: silero takes no argument; write silero")

    def spans(self, samples: Samples) -> list[Span]:
        """Spans of speech, with the limits of ``speech_spans``."""
        return speech_spans(samples)


def load(name: str, device: str = "cpu") -> Vad:
    """The detector of that name; raises InputError for a name that nobody offers."""
    offered = engines.find(engines.VADS, name)
    if offered is None and name.partition(":")[0] != SILERO:
        known = ", ".join([SILERO, *engines.names(engines.VADS)])
        raise InputError(f"vad {name!r}: not known; there are: {known}")
    make, argument = offered or (Silero, name.partition(":")[2])
    made: Vad = make(argument=argument, device=device)
    return made


def speech_spans(
    samples: Samples,
    threshold: float = 0.5,
    min_speech: float = 0.1,
    min_silence: float = 0.2,
    pad: float = 0.03,
) -> list[Span]:
    """Spans of speech that Silero finds in 16 kHz mono ``samples`` [frames], in seconds.

    A pause shorter than ``min_silence`` seconds does not end a span; one shorter than
    ``min_speech`` is dropped; each is widened by ``pad`` on both sides. Silero listens twice, the
    second time with the treble raised: of telephone speech it finds 63 to 70 % at first, and
    89 to 95 % in all; of other speech no more than at first.
    """
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    if samples.size < ENGINE_RATE // 10:
        return []
    options = VadOptions(
        threshold=threshold,
        min_speech_duration_ms=round(min_speech * 1000),
        min_silence_duration_ms=round(min_silence * 1000),
        speech_pad_ms=round(pad * 1000),
    )
    spans: list[Span] = []
    for first in range(0, len(samples), BLOCK):
        last = min(first + BLOCK, len(samples))
        since = max(first - CONTEXT, 0)
        heard = np.ascontiguousarray(samples[since : last + CONTEXT])
        plain, raised = (
            [
                (max(found["start"] + since, first), min(found["end"] + since, last))
                for found in get_speech_timestamps(version, options)
                if found["start"] + since < last and first < found["end"] + since
            ]
            for version in (heard, _emphasised(heard))
        )
        both = [*plain, *_missed(raised, plain)]
        spans += [(start / ENGINE_RATE, end / ENGINE_RATE) for start, end in both]
    return _joined(spans)


def _missed(raised: list[Span], plain: list[Span]) -> list[Span]:
    """What of the spans ``raised`` lies outside of ``plain`` at some length; all in samples."""
    edges = [0.0, *(edge for span in plain for edge in span), np.inf]
    parts = [
        (max(start, since), min(end, until))
        for start, end in raised
        for since, until in zip(edges[::2], edges[1::2], strict=True)
        if since < end and start < until
    ]
    return [(start, end) for start, end in parts if end - start >= ADDED * ENGINE_RATE]


def _emphasised(samples: Samples) -> Samples:
    """The samples with their treble raised (pre-emphasis), as loud as before."""
    out = samples.copy()
    out[1:] -= np.float32(EMPHASIS) * samples[:-1]
    power, raised = float(np.vdot(samples, samples)), float(np.vdot(out, out))
    return out * np.float32(np.sqrt(power / raised)) if raised > 0 else out


def _joined(spans: list[Span]) -> list[Span]:
    """Ordered and disjoint spans: those that overlap or touch, as at the edges of blocks, join."""
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and start - out[-1][1] < 1 / ENGINE_RATE:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def total(spans: list[Span]) -> float:
    """Seconds that the spans cover."""
    return sum(end - start for start, end in spans)
