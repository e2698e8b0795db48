"""What tells the codec's sound from real sound, and the losses made of it.

Spectral distances alone reward a blurred average. Several small networks that see the complex
spectrum at different resolutions learn to point at the blur, and the codec learns to please them.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

STFT_SIZES = (128, 256, 512, 1024, 2048)
# Windows and their mel bands: short ones for when, long ones for what pitch.
MELS = ((64, 8), (128, 16), (256, 32), (512, 64), (1024, 80), (2048, 128))
FLOOR = 1e-4  # amplitude under which differences are not heard
SLOPE = 0.2

Views = list[list[Tensor]]  # for every network, what its layers saw; the last is its verdict


def spectrum(samples: Tensor, size: int) -> Tensor:
    """Complex spectra [batch, bins, frames] of [batch, samples], of about unit scale."""
    window = torch.hann_window(size, device=samples.device)
    padded = functional.pad(samples, (size // 2, size // 2))
    made = torch.stft(padded, size, size // 4, window=window, center=False, return_complex=True)
    return made / math.sqrt(float(size))


class OneResolution(nn.Module):
    """Convolutions over the complex spectrum at one resolution."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        layers = [_convolution(2, width, (9, 3), (1, 1), 1)]
        layers += [_convolution(width, width, (9, 3), (2, 1), 2**index) for index in range(3)]
        layers.append(_convolution(width, width, (3, 3), (1, 1), 1))
        self.layers = nn.ModuleList(layers)
        self.verdict = _convolution(width, 1, (3, 3), (1, 1), 1)

    def forward(self, samples: Tensor) -> list[Tensor]:
        """What each layer saw of [batch, samples], and the verdict at each place."""
        with torch.autocast(samples.device.type, enabled=False):
            complex_ = spectrum(samples.float(), self.size)
            seen = torch.stack([complex_.real, complex_.imag], dim=1)
        views = []
        for layer in self.layers:
            seen = functional.leaky_relu(layer(seen), SLOPE)
            views.append(seen)
        return [*views, self.verdict(seen)]


class Adversary(nn.Module):
    """One network a resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList([OneResolution(size, width) for size in STFT_SIZES])

    def forward(self, samples: Tensor) -> Views:
        return [part(samples) for part in self.parts]


def _convolution(
    old: int, new: int, kernel: tuple[int, int], stride: tuple[int, int], dilation: int
) -> nn.Module:
    """Over bins and frames; dilated along the frames."""
    padding = (kernel[0] // 2, (kernel[1] // 2) * dilation)
    made = nn.Conv2d(old, new, kernel, stride, padding, dilation=(1, dilation))
    whole: nn.Module = weight_norm(made)
    return whole


def adversary_loss(real: Views, made: Views) -> Tensor:
    """The networks' own: hinge, real above 1 and made below -1."""
    parts = [
        functional.relu(1 - a[-1].float()).mean() + functional.relu(1 + b[-1].float()).mean()
        for a, b in zip(real, made, strict=True)
    ]
    return torch.stack(parts).mean()


def pleasing_loss(made: Views) -> Tensor:
    """The codec's: its sound is to pass for real."""
    return torch.stack([functional.relu(1 - views[-1].float()).mean() for views in made]).mean()


def feature_loss(real: Views, made: Views) -> Tensor:
    """How differently the networks' layers see the two, relative to what they see."""
    parts = []
    for a, b in zip(real, made, strict=True):
        for seen, wanted in zip(b[:-1], a[:-1], strict=True):
            scale = wanted.detach().float().abs().mean().clamp(min=1e-5)
            parts.append((seen.float() - wanted.detach().float()).abs().mean() / scale)
    return torch.stack(parts).mean()


class MelDistance(nn.Module):
    """Distance of mel spectra at several resolutions, of logarithms and of amplitudes."""

    def __init__(self, rate: int) -> None:
        super().__init__()
        for size, bands in MELS:
            self.register_buffer(f"bank_{size}", mel_bank(rate, size, bands), persistent=False)

    def forward(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Mean over the resolutions; both are [batch, samples]."""
        parts = []
        for size, _ in MELS:
            bank = self.get_buffer(f"bank_{size}")
            ours, theirs = (
                torch.einsum("mf,bft->bmt", bank, _amplitudes(x, size)) for x in (made, wanted)
            )
            logs = (torch.log(ours + FLOOR) - torch.log(theirs + FLOOR)).abs().mean()
            parts.append(logs + (ours - theirs).abs().mean() / theirs.mean().clamp(min=FLOOR))
        return torch.stack(parts).mean()


def _amplitudes(samples: Tensor, size: int) -> Tensor:
    """[batch, bins, frames]; a root whose slope stays finite at silence."""
    made = spectrum(samples, size)
    return (made.real.square() + made.imag.square() + 1e-10).sqrt()


def mel_bank(rate: int, size: int, bands: int) -> Tensor:
    """Triangles [bands, bins], evenly spaced on the mel scale, each of weight 1."""
    highest = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, highest, bands + 2) / 2595) - 1)  # Hz
    bins = torch.linspace(0, rate / 2, size // 2 + 1)
    width = rate / size  # Hz: no triangle narrower than a bin, or low bands would be empty
    up = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2]).clamp(min=width)[:, None]
    down = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1]).clamp(min=width)[:, None]
    bank = torch.minimum(up, down).clamp(min=0)
    return bank / bank.sum(1, keepdim=True).clamp(min=1e-8)
