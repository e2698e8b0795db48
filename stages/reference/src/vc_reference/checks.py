"""What makes a slice unfit as a reference: little speech, clipping, noise, a second voice."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vc_core.audio import ENGINE_RATE, Samples
from vc_reference.options import FitnessOptions
from vc_speech import encoders, overlap, snr, speakers
from vc_speech.speakers import SpeakerEncoder, Vector
from vc_speech.vad import Span

AROUND = 3.0  # seconds before and after a slice that are heard with it
STEP = 0.4  # seconds between the encoder's windows
STRETCH = 5  # windows, that is 3.2 s: the shortest stretch that is taken for another speaker
SURE = 3.2  # seconds of speech from which a slice as a whole is as sure as such a stretch


@dataclass(frozen=True)
class Ears:
    """What tells voices apart: a speaker encoder, and a model that hears two at once, or none."""

    encoder: SpeakerEncoder
    overlap_model: str

    @classmethod
    def of(cls, options: FitnessOptions) -> "Ears":
        """Those that are named in the options; raises InputError where they are not to be had."""
        return cls(encoders.load(options.encoder), options.overlap_model)

    def overlap_seconds(self, samples: Samples, start: float, end: float) -> float:
        """Seconds of two people at once within [start, end) of 16 kHz mono ``samples`` [frames].

        They are heard with what is ``AROUND``: who begins to speak at an edge is told by that.
        """
        if self.overlap_model == "none":
            return 0.0
        since = max(0.0, start - AROUND)
        here = samples[round(since * ENGINE_RATE) : round((end + AROUND) * ENGINE_RATE)]
        return _overlap(start - since, end - since, overlap.spans(here, self.overlap_model))

    def least_cosine(self, limits: FitnessOptions) -> float:
        """The least likeness of a stretch to the rest; InputError where it must be given."""
        return speakers.threshold(self.encoder, "slice", limits.min_cosine, "--min-cosine")


def too_short(seconds: float, least: float) -> str:
    """What is wrong with so many ``seconds`` of speech; "" where nothing is."""
    if seconds >= least:
        return ""
    return (
        f"{seconds:.1f} s of speech are fewer than {least:g} (--min-seconds); "
        "set reference.start/end to a longer stretch"
    )


def distorted(share: float, limits: FitnessOptions) -> str:
    """What is wrong with such a ``share`` of clipped samples; "" where nothing is."""
    if share <= limits.max_clipped:
        return ""
    return (
        f"{share:.2%} of its samples are clipped, more than {limits.max_clipped:.2%} "
        "(--max-clipped); choose a stretch that is not distorted"
    )


def noisy(dnsmos: float, limits: FitnessOptions) -> str:
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


def two_at_once(seconds: float, most: float) -> str:
    """What is wrong with so many ``seconds`` of two people at once; "" where nothing is."""
    if seconds <= most:
        return ""
    return (
        f"two people speak at once for {seconds:.1f} s, more than {most:g} "
        "(--max-overlap); set reference.start/end to where one person speaks"
    )


def snr_db(samples: Samples) -> float:
    """How far the speech in 16 kHz mono ``samples`` [frames] lies above the noise, dB."""
    return round(snr.snr(samples, ENGINE_RATE), 1)


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
