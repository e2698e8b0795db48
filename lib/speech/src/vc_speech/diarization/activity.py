"""Voice activity, overlapped speech and speaker changes, every 17 ms.

Activity is the VAD's, and where it hears nothing, as Silero does in a third of telephone speech,
the segmentation model's. Overlap and changes come from pyannote's segmentation-3.0 (Bredin 2023,
Plaquet & Bredin 2023): for ten seconds of audio it gives, for each frame, one of seven sets of at
most two of three local voices. It may take two like voices for one, so who speaks is not asked of
it: that is settled by embeddings.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vc_core.audio import Samples
from vc_speech import overlap, vad
from vc_speech.overlap import STEP

Flags = npt.NDArray[np.bool_]
Shares = npt.NDArray[np.float32]

FRAME = 270  # samples between the segmentation model's frames
OVERLAP_SHARE = 0.4  # share of the chunks that must hear two voices: missed overlap costs more
OVERLAP_PAD = 0.1  # seconds around an overlap that are part of it
VOICE_SHARE = 0.7  # share of the chunks that must hear a voice where the VAD hears none
SHORTEST_VOICE = 0.1  # seconds: shorter sounds that the VAD does not hear are no speech
SURE_VOICE = 0.9  # share of the chunks: where fewer hear a voice there may be a pause
PAUSE_DB, LOUD = 25.0, 0.9  # a pause is so much quieter than this quantile of the speech around
CHANGE_SHARE = 0.5  # share of the chunks that must hear the voice change
CHANGE_TOLERANCE = 0.1  # seconds by which they may differ in where


@dataclass(frozen=True)
class Heard:
    """What is heard in every frame [frames].

    ``speech`` and ``overlap`` (two voices at once) are flags, and so are ``pauses`` within
    speech, too short to end it. ``changes`` flags the frames at which the voice changes;
    ``switched`` is the share of the chunks that hear it change there (nan: nobody listened).
    """

    speech: Flags
    pauses: Flags
    overlap: Flags
    changes: Flags
    switched: Shares


def listen(samples: Samples, model: str, detector: vad.Vad) -> Heard:
    """Hear 16 kHz mono ``samples`` [n]; with ``model`` none overlap and changes stay unheard."""
    frames = -(-len(samples) // FRAME)
    speech = np.zeros(frames, bool)
    for start, end in detector.spans(samples):
        speech[to_frame(start) : to_frame(end)] = True
    voice, two, change, times = (np.zeros(frames, np.float32) for _ in range(4))
    if model != "none":
        for first, active in overlap.chunks(samples, model):
            size = min(len(active), frames - first)
            here = slice(first, first + size)
            times[here] += 1
            voice[here] += active[:size].any(axis=1)
            two[here] += active[:size].sum(axis=1) >= 2
            change[here] += widened(_changes(active), to_frame(CHANGE_TOLERANCE))[:size]
    times = np.maximum(times, 1)
    for first, last in flagged_runs((voice / times >= VOICE_SHARE) & ~speech):
        if last - first >= to_frame(SHORTEST_VOICE):
            speech[first:last] = True
    pauses = speech & (quiet(samples, speech) | ((times > 0) & (voice / times < SURE_VOICE)))
    switched = np.full_like(change, np.nan) if model == "none" else change / times
    both = widened(two / times >= OVERLAP_SHARE, to_frame(OVERLAP_PAD)) & speech
    return Heard(speech, pauses, both, _middles(switched >= CHANGE_SHARE), switched)


def quiet(samples: Samples, speech: Flags) -> Flags:
    """Frames that are ``PAUSE_DB`` quieter than the stretch of speech in which they lie."""
    out = np.zeros(len(speech), bool)
    for first, last in flagged_runs(speech):
        cut = samples[first * FRAME : last * FRAME]
        power = np.square(cut[: len(cut) // FRAME * FRAME]).reshape(-1, FRAME).mean(axis=1)
        if len(power):
            loud = float(np.quantile(power, LOUD))
            out[first : first + len(power)] = power < loud * 10 ** (-PAUSE_DB / 10)
    return out


def to_frame(seconds: float) -> int:
    """Index of the frame in which a time lies."""
    return round(seconds / STEP)


def widened(flags: Flags, frames: int) -> Flags:
    """Flags grown by ``frames`` on both sides."""
    return np.asarray(np.convolve(flags, np.ones(2 * frames + 1), mode="same") > 0.5, bool)


def flagged_runs(flags: Flags) -> list[tuple[int, int]]:
    """Runs of set flags: first frame and the frame after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _changes(active: Flags) -> Flags:
    """Where another voice than the last begins to speak alone; [frames, 3] -> [frames]."""
    changes = np.zeros(len(active), bool)
    alone = np.flatnonzero(active.sum(axis=1) == 1)
    voice = active[alone].argmax(axis=1)
    changes[alone[1:][np.diff(voice) != 0]] = True
    return changes


def _middles(flags: Flags) -> Flags:
    """One frame in the middle of each run of flags."""
    out = np.zeros(len(flags), bool)
    for first, last in flagged_runs(flags):
        out[(first + last) // 2] = True
    return out
