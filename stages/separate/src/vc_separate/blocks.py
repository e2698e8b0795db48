"""A recording through a separator, block by block: memory does not grow with its length."""

from collections.abc import Iterable, Iterator

import numpy as np
import soundfile

from vc_core import audio, log
from vc_core.audio import Samples
from vc_core.errors import ToolError
from vc_separate.separators import Separator

# Neighbours overlap and are cross-faded: a separator knows least about the edges of its input.
OVERLAP = 1.0  # seconds
BLOCK = 60.0  # seconds, for a separator that does not say what suits it


def separated(recording: soundfile.SoundFile, separator: Separator) -> Iterator[Samples]:
    """Yield consecutive stretches [2, frames] of mono mix and voice that make the whole.

    ``recording`` is read once, from its beginning. Raises InputError where it is damaged.
    """
    rate = recording.samplerate
    overlap = round(OVERLAP * rate)
    # Whole seconds, so that blocks begin on a frame at every rate they are resampled to.
    step = max(1, int(getattr(separator, "block", BLOCK) - OVERLAP))
    ramp = np.linspace(0, 1, overlap, dtype=np.float32)
    recording.seek(0)
    done, held, tail = 0, np.zeros((0, recording.channels), np.float32), np.zeros(0, np.float32)
    with log.progress(total=round(recording.frames / rate), unit="s", desc="separate") as bar:
        for fresh in audio.blocks(recording, mono=False, seconds=step):
            mix = np.concatenate([held, fresh])
            done += len(fresh)
            voice = voice_in(mix, rate, separator)
            shared = len(tail)
            voice[:shared] = tail * (1 - ramp[:shared]) + voice[:shared] * ramp[:shared]
            kept = len(mix) if done == recording.frames else len(mix) - overlap
            yield np.stack([mix[:kept].mean(axis=1), voice[:kept]])
            held, tail = mix[kept:], voice[kept:]
            bar.update(round(done / rate) - bar.n)


def voice_in(mix: Samples, rate: int, separator: Separator) -> Samples:
    """The voice [frames] of ``mix`` [frames, channels], through the rate of the separator."""
    wanted = separator.rate or rate
    stereo = mix if mix.shape[1] == 2 else np.repeat(mix.mean(axis=1, keepdims=True), 2, axis=1)
    # Resampling may gain or lose a frame at the end.
    given = audio.resample(stereo, rate, wanted)[: round(len(mix) * wanted / rate)]
    heard = separator.separate(given)
    if heard.shape != given.shape:
        raise ToolError(f"the separator gave {heard.shape} for {given.shape} [frames, channels]")
    voice = audio.resample(heard.mean(axis=1), wanted, rate)
    return np.pad(voice, (0, max(0, len(mix) - len(voice))))[: len(mix)]


def in_cells(stretches: Iterable[Samples], size: int) -> Iterator[Samples]:
    """The same [2, frames], cut anew to ``size`` frames each; the last may be shorter."""
    held = np.zeros((2, 0), np.float32)
    for stretch in stretches:
        held = np.concatenate([held, stretch], axis=1)
        whole = held.shape[1] // size * size
        yield from np.split(held[:, :whole], whole // size, axis=1) if whole else ()
        held = held[:, whole:]
    if held.shape[1]:
        yield held
