"""Clips of one and the same recording, found twice: re-encoded, louder, cut elsewhere.

Candidates share words; the sound decides. Two takes of a sentence by the same person differ in
timing by more than a codec ever does, so they stay both.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from vc_core.audio import TTS_RATE, Samples
from vc_core.manifests import Clip
from vc_speech.text import comparable

Envelopes = npt.NDArray[np.float32]

SHINGLE = 3  # words that are compared as one
SHARED = 0.5  # of the shorter text's shingles: fewer, and too little is the same
COMMON = 100  # clips that hold a shingle from which it says nothing: "you know what"

STEP = 0.01  # seconds between values of the envelopes
WINDOW = 0.025  # seconds
BANDS = 16
LOWEST, HIGHEST = 200.0, 3400.0  # Hz: what a telephone carries, too
RANGE = 25.0  # dB under the loudest: fainter is noise that every copy has its own of
SLOW = 25  # values, 0.25 s: slower changes are alike whenever the same words are said
# Correlation of the envelopes. Measured: re-encoded (Opus from 24 to 8 kbit/s, MP3, cut elsewhere)
# 0.91 and more, with noise at 20 dB 0.95; said twice by the same person 0.60.
ALIKE = 0.8
OVERLAP = 0.6  # of the shorter clip must be in the other

# The samples of a clip, 24 kHz mono.
Read = Callable[[Clip], Samples]


def find(clips: Sequence[Clip], read: Read) -> dict[str, str]:
    """Names of clips to leave out, each with the clip that holds the same sound.

    Of two the cleaner stays (DNSMOS), of equals the longer.
    """
    order = sorted(clips, key=lambda clip: (-round(clip.dnsmos, 1), -clip.seconds, clip.clip))
    rank = {clip.clip: number for number, clip in enumerate(order)}
    envelopes: dict[str, Envelopes] = {}
    left_out: dict[str, str] = {}
    for one, other in sorted(
        (tuple(sorted((rank[a.clip], rank[b.clip]))) for a, b in candidates(clips))
    ):
        better, worse = order[one], order[other]
        if better.clip in left_out or worse.clip in left_out:
            continue
        for clip in (better, worse):
            if clip.clip not in envelopes:
                envelopes[clip.clip] = band_envelopes(read(clip))
        if likeness(envelopes[better.clip], envelopes[worse.clip]) >= ALIKE:
            left_out[worse.clip] = better.clip
    return left_out


def candidates(clips: Sequence[Clip]) -> Iterator[tuple[Clip, Clip]]:
    """Pairs of clips that share half the words of the shorter, in runs of three."""
    shingles = [_shingles(clip.text) for clip in clips]
    holders: dict[str, list[int]] = defaultdict(list)
    for number, found in enumerate(shingles):
        for shingle in found:
            holders[shingle].append(number)
    shared: Counter[tuple[int, int]] = Counter()
    for numbers in holders.values():
        if len(numbers) <= COMMON:
            shared.update((a, b) for n, a in enumerate(numbers) for b in numbers[n + 1 :])
    for (a, b), count in shared.items():
        if count >= SHARED * min(len(shingles[a]), len(shingles[b])):
            yield clips[a], clips[b]


def band_envelopes(samples: Samples) -> Envelopes:
    """Level of 16 bands between 200 and 3400 Hz every 10 ms, [bands, frames].

    Each band in dB, its mean over a quarter of a second taken away: what a microphone or a codec
    does to all of it is gone, and what stays is the timing, which no second take repeats.
    """
    size, step = round(WINDOW * TTS_RATE), round(STEP * TTS_RATE)
    if len(samples) < size:
        return np.zeros((BANDS, 1), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::step]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32), axis=1)))
    edges = np.geomspace(LOWEST, HIGHEST, BANDS + 1)
    frequencies = np.fft.rfftfreq(size, 1 / TTS_RATE)
    of_band = np.digitize(frequencies, edges) - 1
    bands = np.stack(
        [
            power[:, of_band == band].sum(axis=1)
            if (of_band == band).any()
            else power[:, np.abs(frequencies - edges[band]).argmin()]
            for band in range(BANDS)
        ]
    )
    levels = 10 * np.log10(np.maximum(bands, 1e-12))
    levels = np.maximum(levels, levels.max(axis=1, keepdims=True) - RANGE)
    window = np.full(SLOW, 1 / SLOW)
    slow = np.stack(
        [np.convolve(level, window)[SLOW // 2 :][: levels.shape[1]] for level in levels]
    )
    out: Envelopes = (levels - slow).astype(np.float32)
    return out


def likeness(one: Envelopes, other: Envelopes) -> float:
    """Correlation of two clips' envelopes at the lag where they fit best; 0 where none does.

    Only lags at which the clips share most of the shorter one count.
    """
    size = one.shape[1] + other.shape[1] - 1
    width = 1 << (size - 1).bit_length()

    def correlate(a: Envelopes, b: Envelopes) -> npt.NDArray[np.float64]:
        """Sum of products at every lag, over all bands: lag of ``b`` from -len(b) + 1 on."""
        product = np.fft.rfft(a, width) * np.conj(np.fft.rfft(b, width))
        found = np.fft.irfft(product.sum(axis=0), width)
        return np.concatenate([found[width - b.shape[1] + 1 :], found[: a.shape[1]]])

    ones, others = np.ones_like(one), np.ones_like(other)
    count = np.maximum(np.round(correlate(ones, others)), 1)
    mean_one, mean_other = correlate(one, others) / count, correlate(ones, other) / count
    covariance = correlate(one, other) / count - mean_one * mean_other
    spread_one = correlate(one**2, others) / count - mean_one**2
    spread_other = correlate(ones, other**2) / count - mean_other**2
    least = OVERLAP * BANDS * min(one.shape[1], other.shape[1])
    fits = count >= least
    scale = np.sqrt(np.maximum(spread_one * spread_other, 1e-6))
    return float(np.max(np.where(fits, covariance / scale, 0.0)))


def _shingles(text: str) -> set[str]:
    words = comparable(text).split()
    return {" ".join(words[n : n + SHINGLE]) for n in range(max(1, len(words) - SHINGLE + 1))}
