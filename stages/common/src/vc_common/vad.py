"""Where there is speech: Silero VAD, by the ONNX file that faster-whisper bundles (no torch)."""

import numpy as np

from vc_common.audio import ENGINE_RATE, Samples

Span = tuple[float, float]


def speech_spans(
    samples: Samples,
    threshold: float = 0.5,
    min_speech: float = 0.1,
    min_silence: float = 0.2,
    pad: float = 0.03,
) -> list[Span]:
    """Spans of speech in 16 kHz mono ``samples`` [frames], in seconds.

    A pause shorter than ``min_silence`` seconds does not end a span; one shorter than
    ``min_speech`` is dropped; each is widened by ``pad`` on both sides.
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
    found = get_speech_timestamps(np.ascontiguousarray(samples), options)
    end = len(samples) / ENGINE_RATE
    return [(x["start"] / ENGINE_RATE, min(x["end"] / ENGINE_RATE, end)) for x in found]


def total(spans: list[Span]) -> float:
    """Seconds that the spans cover."""
    return sum(end - start for start, end in spans)
