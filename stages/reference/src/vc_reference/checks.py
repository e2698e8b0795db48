"""What makes a slice unfit as a reference: little speech, clipping, noise, a second voice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vc_core.audio import ENGINE_RATE, Samples
from vc_speech import overlap, speakers
from vc_speech.speakers import Auto, SpeakerEncoder, Vector
from vc_speech.vad import Span

STEP = 0.4  # seconds between the encoder's windows
STRETCH = 5  # windows, that is 3.2 s: the shortest stretch that is taken for another speaker
SURE = 3.2  # seconds of speech from which a slice as a whole is as sure as such a stretch

FRAME = 0.03  # seconds: one level
PAUSE_SHARE = 0.05  # of the frames: their level is taken for the noise's


@dataclass(frozen=True)
class Limits:
    """What a reference must reach; each is an option of the command of the same name."""

    min_seconds: float = 3.0
    max_seconds: float = 30.0
    min_dnsmos: float = 2.0
    max_clipped: float = 0.001
    min_cosine: float | Auto = "auto"
    max_overlap: float = 0.3


@dataclass(frozen=True)
class Ears:
    """What tells voices apart: a speaker encoder, and a model that hears two at once, or none."""

    encoder: SpeakerEncoder
    overlap_model: str = overlap.DEFAULT_MODEL

    def overlaps(self, samples: Samples) -> list[Span]:
        """Where two people speak at once in 16 kHz mono ``samples`` [frames], in seconds."""
        return [] if self.overlap_model == "none" else overlap.spans(samples, self.overlap_model)

    def least_cosine(self, limits: Limits) -> float:
        """The least likeness of a stretch to the rest; InputError where it must be given."""
        return speakers.threshold(self.encoder, "slice", limits.min_cosine, "--min-cosine")


def too_short(seconds: float, limits: Limits) -> str:
    """What is wrong with so many ``seconds`` of speech; "" where nothing is."""
    if seconds >= limits.min_seconds:
        return ""
    return (
        f"{seconds:.1f} s of speech are fewer than {limits.min_seconds:g} (--min-seconds); "
        "set reference.start/end to a longer stretch"
    )


def distorted(share: float, limits: Limits) -> str:
    """What is wrong with such a ``share`` of clipped samples; "" where nothing is."""
    if share <= limits.max_clipped:
        return ""
    return (
        f"{share:.2%} of its samples are clipped, more than {limits.max_clipped:.2%} "
        "(--max-clipped); choose a stretch that is not distorted"
    )


def noisy(dnsmos: float, limits: Limits) -> str:
    """What is wrong with such a DNSMOS; "" where nothing is."""
    if dnsmos >= limits.min_dnsmos:
        return ""
    return (
        f"DNSMOS {dnsmos:.2f} is below {limits.min_dnsmos:g} (--min-dnsmos); "
        "choose a stretch without noise or music"
    )


def several_voices(likeness: float | None, least: float) -> str:
    """What is wrong with such a ``likeness`` of the least alike stretch; "" where nothing is."""
    if likeness is None or likeness >= least:
        return ""
    return (
        f"more than one speaker, as it seems: a stretch is only {likeness:.2f} like the rest, "
        f"below {least:g} (--min-cosine); set reference.start/end to where one person speaks"
    )


def two_at_once(seconds: float, limits: Limits) -> str:
    """What is wrong with so many ``seconds`` of two people at once; "" where nothing is."""
    if seconds <= limits.max_overlap:
        return ""
    return (
        f"two people speak at once for {seconds:.1f} s, more than {limits.max_overlap:g} "
        "(--max-overlap); set reference.start/end to where one person speaks"
    )


def snr_db(samples: Samples) -> float:
    """How far 16 kHz mono ``samples`` [frames] of speech lie above their quietest moments, dB."""
    size = round(FRAME * ENGINE_RATE)
    count = len(samples) // size
    if count == 0:
        return 0.0
    frames = samples[: count * size].reshape(count, size)
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    quiet = max(float(np.quantile(powers, PAUSE_SHARE)), 1e-12)
    return round(10 * float(np.log10(max(float(powers.mean()), 1e-12) / quiet)), 1)


def least_likeness(samples: Samples, speech: list[Span], encoder: SpeakerEncoder) -> float | None:
    """How alike the least alike two parts of 16 kHz mono ``samples`` [frames] sound.

    Of all ways to set one stretch apart from the rest, the least cosine between the mean
    embeddings of the two. None where there is too little ``speech`` for two stretches.

    Single windows differ too much to be compared, stretches of 3 s and more do not: with CAM++, 36
    speakers of LibriSpeech and 12 slices of Kathleen lie between 0.78 and 0.94, and 35 pairs of
    speakers, one after the other, between 0.37 and 0.67.
    """
    centres, vectors = encoder.embed_windows(samples, STEP)
    # Windows over pauses say nothing about the speaker.
    half = encoder.window / 2
    spoken = [_overlap(centre - half, centre + half, speech) >= half for centre in centres]
    vectors = vectors[np.array(spoken, dtype=bool)]
    count = len(vectors)
    if count < 2 * STRETCH:
        return None
    sums = np.vstack([np.zeros_like(vectors[:1]), np.cumsum(vectors, axis=0)])
    least = 1.0
    for first in range(count - STRETCH + 1):
        for last in range(first + STRETCH, min(count, first + count - STRETCH) + 1):
            inside = sums[last] - sums[first]
            least = min(least, speakers.cosine(inside, sums[-1] - inside))
    return round(least, 4)


def stranger(vectors: Sequence[Vector]) -> tuple[int, float]:
    """Which of two or more vectors is least like the sum of the others, and how like it is."""
    whole = np.sum(vectors, axis=0)
    cosines = [speakers.cosine(vector, whole - vector) for vector in vectors]
    odd = int(np.argmin(cosines))
    return odd, round(cosines[odd], 4)


def _overlap(start: float, end: float, spans: list[Span]) -> float:
    """Seconds of [start, end) that the spans cover."""
    return sum(max(0.0, min(end, to) - max(start, since)) for since, to in spans)
