"""Which phoneme sounds when in a clip: by likeness to how Kokoro would say its text.

Kokoro foretells durations and the decoder's features of the text, in a voice of the speaker's
pitch. A linear map from those features to cepstra, learnt from the stock voices' speech, tells how
it would sound: the vocoder, nine tenths of the work, is not asked. Dynamic time warping of the
cepstra carries the phonemes' times over to the clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from vc_core.audio import Samples
from vc_kokoro import features
from vc_kokoro.network import HOP, Kokoro, Prosody, Text
from vc_kokoro.weights import style_of

BAND = 0.25  # of the length: how far the warping may stray from the diagonal
RIDGE = 1.0  # keeps the linear map's numbers small
EDGES = 1  # frames at each end that belong to the vocoder's padding

Cepstra = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Aligned:
    """A clip on Kokoro's frames.

    ``samples`` [600 * sum of frames] at the level of Kokoro's speech, with its silence at both
    ends; ``prosody`` what was measured of it; ``cost`` the mean distance of cepstra along the
    path; ``stretch`` the clip's length by what Kokoro foretells.
    """

    samples: Tensor
    prosody: Prosody
    cost: float
    stretch: float


@dataclass(frozen=True)
class Spoken:
    """A text said by Kokoro: what was said, how, in which voice [510, 256], and its samples."""

    text: Text
    prosody: Prosody
    voice: Tensor
    samples: Samples


class Aligner:
    """Aligns clips with their phonemes."""

    def __init__(self, network: Kokoro, known: Sequence[Spoken]) -> None:
        """``known`` is Kokoro's speech in voices of the speaker's pitch.

        The map from features to cepstra is learnt from it, and clips are compared with the mean
        of its voices.
        """
        self._network = network
        self._voice = torch.stack([one.voice for one in known]).mean(0)
        inputs, outputs = [], []
        for one in known:
            given = self._features(one.text, one.prosody, one.voice)
            heard = features.cepstra(torch.from_numpy(one.samples))[:, : given.shape[1]]
            inputs.append(given[:, EDGES:-EDGES])
            outputs.append(heard[:, EDGES:-EDGES])
        x, y = np.concatenate(inputs, 1), np.concatenate(outputs, 1)
        square = x @ x.T + RIDGE * np.eye(len(x), dtype=np.float32)
        self._map = np.linalg.solve(square, x @ y.T).T
        self._level = float(np.sqrt(np.mean([np.mean(one.samples**2) for one in known])))

    @torch.no_grad()
    def align(self, phonemes: str, samples: Samples) -> Aligned:
        """Align 24 kHz samples that say the phonemes."""
        import librosa

        text = self._network.encode(phonemes)
        style = style_of(self._voice, text.ids).to(self._network.device)
        said = self._network.prosody(text, style)
        frames = said.frames.cpu().numpy()
        level = self._level / max(1e-6, float(np.sqrt(np.mean(samples**2))))
        ends = (int(frames[0]) * HOP, int(frames[-1]) * HOP)
        clip = functional.pad(torch.from_numpy(samples) * level, ends)

        ours = normalised(self._map @ self._features(text, said, self._voice))
        theirs = normalised(features.cepstra(clip))
        cost, path = librosa.sequence.dtw(
            ours, theirs, metric="euclidean", global_constraints=True, band_rad=BAND
        )
        path = path[::-1]
        bounds = 2 * np.concatenate([[0], np.cumsum(frames)])
        reached = np.minimum(np.searchsorted(path[:, 0], bounds), len(path) - 1)
        times = path[reached, 1] / 2
        times[-1] = len(clip) / HOP
        whole = torch.from_numpy(np.maximum(1, np.diff(np.round(times))).astype(np.int64))
        return Aligned(
            *measured(clip, whole, float(said.energy.min())),
            float(cost[-1, -1] / len(path)),
            float(whole[1:-1].sum() / max(1, frames[1:-1].sum())),
        )

    @torch.no_grad()
    def _features(self, text: Text, prosody: Prosody, voice: Tensor) -> Cepstra:
        """The decoder's features of a text, with a constant, [C + 1, T]."""
        style = style_of(voice, text.ids).to(self._network.device)
        found = self._network.features(text, prosody, style)[0].float().cpu()
        return torch.cat([found, torch.ones_like(found[:1])]).numpy()


def measured(clip: Tensor, frames: Tensor, quietest: float) -> tuple[Tensor, Prosody]:
    """A clip [S] cut to frames [n] of its phonemes, and its prosody.

    ``quietest`` is the least energy that Kokoro foretells: it knows no digital silence.
    """
    total = int(frames.sum())
    clip = functional.pad(clip, (0, max(0, total * HOP - len(clip))))[: total * HOP]
    f0 = torch.from_numpy(features.f0(clip.numpy()))
    energy = features.energy(clip).clamp(min=quietest)
    curves = (features.fitted(curve, 2 * total)[None] for curve in (f0, energy))
    return clip, Prosody(frames, *curves)


def normalised(cepstra: Cepstra) -> Cepstra:
    """Every row [C, T] to mean 0 and deviation 1, and its slope beside it, [2 C, T]."""
    flat = (cepstra - cepstra.mean(1, keepdims=True)) / (cepstra.std(1, keepdims=True) + 1e-3)
    out: Cepstra = np.concatenate([flat, 2 * np.gradient(flat, axis=1)]).astype(np.float32)
    return out
