"""Whether there is music or noise to take away: what a separator removes while nobody speaks.

Separation costs clean speech some quality, so ``auto`` leaves alone what has nothing to remove.
What is removed in the pauses of the speech is compared with the speech. That figure follows the
level of music and noise below the speech by 3 dB, whatever the separator does to the voice.
Measured with Spleeter on pieces of 5 s: Kathleen's and the shipped interview's clean speech -37 dB
and less; five tunes and six kinds of noise 20 dB below speech -33 to -19, median -23; 30 dB below
it -47 to -29, median -35.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soundfile

from vc_core import audio, log
from vc_core.audio import Samples
from vc_separate import blocks
from vc_separate.separators import Separator

Powers = npt.NDArray[np.float64]

# Music or noise 27 dB below the speech. Where it is weaker, what separation leaves of it and does
# to the voice outweighs what it takes away.
LIMIT = -30.0  # dB
FRAME = 0.05  # seconds
CELL = 5.0  # seconds: one decision
EXCERPT = 10.0  # seconds heard at a time
LEAD = 1.0  # seconds around it: at a cut edge separators remove speech
SUSPECTS = 4  # excerpts: those with the loudest pauses
SPREAD = 4  # excerpts: spread evenly, the first one too
PAUSES = 0.1  # least share of frames that are taken for pauses
PAUSE_DB = -20.0  # of the voice's level: what is below is a pause
QUIET_DB = -15.0  # of the recording's level: a voice is not taken for quieter
FADE = 0.2  # seconds from mix to voice or back


@dataclass(frozen=True)
class Heard:
    """What listening found: the loudest removal in dB of the speech, seconds heard, level.

    ``level`` is the power of the recording's loud speech.
    """

    removed: float
    seconds: float
    level: float

    @property
    def dirty(self) -> bool:
        """Whether there is something to take away."""
        return self.removed > LIMIT


def listen(recording: soundfile.SoundFile, separator: Separator) -> Heard:
    """Try the separator on excerpts, the most suspicious first, until one has something."""
    rate = recording.samplerate
    starts, level = _survey(recording)
    removed, seconds = -np.inf, 0.0
    for start in log.progress(starts, unit="excerpt", desc="listen"):
        lead = min(LEAD, start)
        recording.seek(round((start - lead) * rate))
        mix = next(audio.blocks(recording, mono=False, seconds=lead + EXCERPT + LEAD))
        pair = np.stack([mix.mean(axis=1), blocks.voice_in(mix, rate, separator)])
        seconds += len(mix) / rate
        inner = pair[:, round(lead * rate) :][:, : round(EXCERPT * rate)]
        for cell in blocks.in_cells([inner], round(CELL * rate)):
            removed = max(removed, removed_db(cell, rate, level))
        if removed > LIMIT:
            break
    return Heard(float(removed), seconds, level)


def removed_db(cell: Samples, rate: int, level: float) -> float:
    """What is removed in the pauses of mix and voice [2, frames], in dB of the voice.

    A voice far below ``level``, the power of the recording's loud speech, is a remainder of music.
    """
    voice, removed = frame_powers(cell[1], rate), frame_powers(cell[0] - cell[1], rate)
    speech = max(voice[voice >= np.median(voice)].mean(), level * 10 ** (QUIET_DB / 10), 1e-12)
    pause = voice <= max(np.quantile(voice, PAUSES), speech * 10 ** (PAUSE_DB / 10))
    return float(10 * np.log10(max(removed[pause].mean(), 1e-12) / speech))


def kept(stretches: Iterable[Samples], rate: int, level: float) -> Iterator[tuple[Samples, bool]]:
    """Of each cell mix and result [2, frames], and whether the result is the voice.

    It is the voice where this cell or a neighbour holds something to take away, else the mix.
    """
    cells = (
        (cell, removed_db(cell, rate, level) > LIMIT)
        for cell in blocks.in_cells(stretches, round(CELL * rate))
    )
    fade = round(FADE * rate)
    here, before, last = next(cells, None), False, None
    while here is not None:
        after = next(cells, None)
        cell, dirty = here
        wanted = before or dirty or (after is not None and after[1])
        share = np.full(cell.shape[1], float(wanted), np.float32)
        if last is not None:
            share[:fade] = np.linspace(last, wanted, fade, dtype=np.float32)[: len(share)]
        yield np.stack([cell[0], cell[0] + share * (cell[1] - cell[0])]), wanted
        here, before, last = after, dirty, wanted


def frame_powers(samples: Samples, rate: int) -> Powers:
    """Mean square of each 50 ms of ``samples`` [frames]; of the whole where it is shorter."""
    size = min(round(FRAME * rate), len(samples))
    count = len(samples) // size
    squares = np.square(samples[: count * size], dtype=np.float64)
    powers: Powers = squares.reshape(count, size).mean(axis=1)
    return powers


def _survey(recording: soundfile.SoundFile) -> tuple[list[float], float]:
    """Where to listen, the most suspicious first, and the power that a tenth of frames exceeds."""
    recording.seek(0)
    powers = [
        frame_powers(block, recording.samplerate)
        for block in audio.blocks(recording, seconds=EXCERPT)
    ]
    floors = [float(np.quantile(frames, PAUSES)) for frames in powers]
    suspects = sorted(range(len(floors)), key=lambda n: -floors[n])[:SUSPECTS]
    spread = np.linspace(0, len(floors) - 1, SPREAD).round().astype(int).tolist()
    chosen = dict.fromkeys([*suspects, *spread])
    return [n * EXCERPT for n in chosen], float(np.quantile(np.concatenate(powers), 0.9))
