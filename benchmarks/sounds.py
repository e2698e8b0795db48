"""What lies among and around voices: music, noise, a telephone line, a room.

Samples are float32 at ``RATE``, levels in dBFS.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from truth import Span
from voices import RATE

from vc_core import audio, models
from vc_core.audio import Samples

MUSIC_PIECE = 40.0  # seconds until another tune plays
MUSIC_FADE = 0.6
PHONE_RATE, PHONE_BAND = 8_000, (300.0, 3_400.0)  # Hz
RT60 = 0.4  # seconds in which the room's echo falls by 60 dB
SIZE = (5.2, 4.1, 2.7)  # metres
MICROPHONE = (2.4, 2.0, 1.0)
SEATS = ((2.0, 1.3, 1.2), (3.4, 2.9, 1.2), (1.3, 3.0, 1.2), (3.9, 1.4, 1.2))  # 0.8 to 1.7 m away


def music(spans: Sequence[Span], length: int, seed: int, level: float) -> Samples:
    """Tunes over the spans, [frames, 2], at ``level`` dBFS."""
    tune = models.module_at(Path(__file__).parent.parent / "models" / "data" / "music.py")
    out = np.zeros((length, 2), np.float32)
    number = 0
    for start, end in spans:
        at = start
        while at < end:
            seconds = min(MUSIC_PIECE, end - at)
            made = np.asarray(tune.render(seconds, seed + number, RATE)).T
            first = round(at * RATE)
            made = made[: length - first] * np.float32(
                10 ** (level / 20) / np.sqrt(np.mean(made**2))
            )
            size = min(round(MUSIC_FADE * RATE), len(made) // 2)
            ramp = np.linspace(0, 1, size, dtype=np.float32)[:, None]
            made[:size] *= ramp
            made[len(made) - size :] *= ramp[::-1]
            out[first : first + len(made)] += made
            at, number = at + seconds, number + 1
    return out


def by_phone(track: Samples) -> Samples:
    """Band-limited, 8 kHz, eight bits by the mu-law: as a telephone line leaves it, in place."""
    from scipy import signal

    narrow = audio.resample(track, RATE, PHONE_RATE)
    band = signal.butter(4, PHONE_BAND, "bandpass", fs=PHONE_RATE, output="sos")
    narrow = np.clip(signal.sosfiltfilt(band, narrow), -1, 1)
    code = np.round(np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256) * 127) / 127
    heard = (np.sign(code) * np.expm1(np.abs(code) * np.log(256)) / 255).astype(np.float32)
    wide = audio.resample(heard, PHONE_RATE, RATE)[: len(track)]
    return np.pad(wide, (0, len(track) - len(wide)))


def in_room(track: Samples, seat: tuple[float, float, float]) -> Samples:
    """The track with a room's echoes; the direct sound keeps its time and level."""
    import pyroomacoustics
    from scipy import signal

    absorption, order = pyroomacoustics.inverse_sabine(RT60, SIZE)
    room = pyroomacoustics.ShoeBox(
        SIZE, fs=RATE, materials=pyroomacoustics.Material(absorption), max_order=order
    )
    room.add_source(list(seat))
    room.add_microphone(list(MICROPHONE))
    room.compute_rir()
    response = np.asarray(room.rir[0][0], np.float32)
    direct = int(np.abs(response).argmax())
    response = response[max(0, direct - 40) :] / response[direct]
    wet = signal.fftconvolve(track, response)[min(40, direct) :]
    return np.asarray(wet[: len(track)], np.float32)


def pink(shape: tuple[int, int], rng: np.random.Generator, level: float) -> Samples:
    """Pink noise, [frames, channels], at ``level`` dBFS."""
    from scipy import fft

    size = fft.next_fast_len(shape[0], real=True)
    spectrum = fft.rfft(rng.standard_normal((size, shape[1]), np.float32), axis=0)
    hertz = np.maximum(fft.rfftfreq(size, 1 / RATE), 30.0)[:, None]
    noise = fft.irfft(spectrum / np.sqrt(hertz), size, axis=0)[: shape[0]]
    return np.asarray(noise * (10 ** (level / 20) / np.sqrt(np.mean(noise**2))), np.float32)


def babble(folder: Path, length: int, rng: np.random.Generator, level: float) -> Samples:
    """Ten people speaking at once, [frames], at ``level`` dBFS."""
    paths = sorted(folder.glob("*.flac"))
    crowd = np.zeros(length, np.float32)
    for n in rng.choice(len(paths), 10, replace=False):
        voice = audio.read(paths[n], RATE)[0]
        crowd += np.resize(np.roll(voice, int(rng.integers(len(voice)))), length) / np.std(voice)
    return np.asarray(crowd * (10 ** (level / 20) / np.std(crowd)), np.float32)
