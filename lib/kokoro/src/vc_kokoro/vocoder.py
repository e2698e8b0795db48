"""Kokoro's vocoder: from frames of acoustic features to samples, as iSTFTNet does it.

Kaneko et al. 2022, "iSTFTNet", with the harmonic source of hn-NSF (Wang et al. 2019) and a style
in every layer (AdaIN, as StyleTTS 2 has it, Li et al. 2023). Modules and weights have the names of
`hexgrad/Kokoro-82M`, weight norm folded in, so that its checkpoints load.

Shapes: B utterances of the same length, C channels, T frames of 1/80 s, S samples at 24 kHz.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vc_core.audio import TTS_RATE

HARMONICS = 9  # of the source, the fundamental among them
SINE, NOISE = 0.1, 0.003  # the source's amplitude, and its noise where it is voiced
VOICED_HZ = 10.0  # F0 below is unvoiced
TEXT_CHANNELS = 64  # of the text that every block of the decoder is told again


class _Snake(torch.autograd.Function):
    """x + sin(ax)^2 / a, keeping nothing but x for the way back."""

    @staticmethod
    def forward(context: Any, x: Tensor, alpha: Tensor) -> Tensor:
        context.save_for_backward(x, alpha)
        half = 0.5 / alpha
        return torch.addcmul(x + half, torch.cos(x * (2 * alpha)), half, value=-1)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        x, alpha = context.saved_tensors
        (gradient,) = gradients
        return torch.addcmul(gradient, gradient, torch.sin(x * (2 * alpha))), None


def snake(x: Tensor, alpha: Tensor) -> Tensor:
    """Snake (Ziyin et al. 2020) of x [B, C, T] with a frequency ``alpha`` [1, C, 1] a channel.

    ``alpha`` itself does not learn.
    """
    made: Tensor = _Snake.apply(x, alpha)  # type: ignore[no-untyped-call]
    return made


class AdaIN1d(nn.Module):
    """Channels normalised over time, then scaled and moved as the style says."""

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(style, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x [B, C, T] in a style [B, style]."""
        gain, shift = self.fc(style).unsqueeze(-1).chunk(2, dim=1)
        normal = functional.layer_norm(x, (x.shape[-1],))
        return torch.addcmul(shift.to(normal.dtype), normal, (1 + gain).to(normal.dtype))


class AdaINResBlock1(nn.Module):
    """Three pairs of convolutions, the first of each dilated, with Snake before each."""

    def __init__(self, channels: int, kernel: int, dilations: list[int], style: int) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Conv1d:
            padding = dilation * (kernel - 1) // 2
            return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding)

        def alphas() -> nn.ParameterList:
            return nn.ParameterList([nn.Parameter(torch.ones(1, channels, 1)) for _ in dilations])

        self.convs1 = nn.ModuleList([conv(dilation) for dilation in dilations])
        self.convs2 = nn.ModuleList([conv(1) for _ in dilations])
        self.adain1 = nn.ModuleList([AdaIN1d(style, channels) for _ in dilations])
        self.adain2 = nn.ModuleList([AdaIN1d(style, channels) for _ in dilations])
        self.alpha1, self.alpha2 = alphas(), alphas()

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x [B, C, T] to the same shape."""
        for layer in range(len(self.convs1)):
            y = snake(self.adain1[layer](x, style), self.alpha1[layer])
            y = snake(self.adain2[layer](self.convs1[layer](y), style), self.alpha2[layer])
            x = self.convs2[layer](y) + x
        return x


class AdainResBlk1d(nn.Module):
    """A residual block with a style; ``upsample`` doubles the frames."""

    def __init__(self, channels: int, out: int, style: int, upsample: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(channels, out, 3, padding=1)
        self.conv2 = nn.Conv1d(out, out, 3, padding=1)
        self.norm1 = AdaIN1d(style, channels)
        self.norm2 = AdaIN1d(style, out)
        self.conv1x1 = nn.Conv1d(channels, out, 1, bias=False) if channels != out else None
        self.pool = (
            nn.ConvTranspose1d(
                channels, channels, 3, stride=2, groups=channels, padding=1, output_padding=1
            )
            if upsample
            else None
        )

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x [B, C, T] to [B, out, T or 2 T]."""
        y = functional.leaky_relu(self.norm1(x, style), 0.2)
        if self.pool is not None:
            y = self.pool(y)
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
        y = functional.leaky_relu(self.norm2(self.conv1(y), style), 0.2)
        y = self.conv2(y)
        if self.conv1x1 is not None:
            x = self.conv1x1(x)
        made: Tensor = (y + x) * math.sqrt(0.5)
        return made


class Source(nn.Module):
    """The sound before any tract: harmonics of F0 where it is voiced, else noise."""

    def __init__(self, hop: int) -> None:
        super().__init__()
        self.l_linear = nn.Linear(HARMONICS, 1)
        self._hop = hop

    def forward(self, f0: Tensor, noise: torch.Generator | None) -> Tensor:
        """F0 in Hz [B, T], 0 where there is none, to samples [B, S]; ``noise`` draws the noise."""
        harmonics = torch.arange(1, HARMONICS + 1, device=f0.device)[:, None]
        turns = torch.cumsum(f0[:, None] * harmonics / TTS_RATE, dim=-1) * self._hop
        turns = functional.interpolate(turns, scale_factor=float(self._hop), mode="linear")
        voiced = (f0 > VOICED_HZ).float().repeat_interleave(self._hop, dim=-1)[:, None]
        drawn = torch.randn(turns.shape, generator=noise, device=turns.device)
        drawn = drawn * (voiced * NOISE + (1 - voiced) * SINE / 3)
        waves = torch.sin(2 * math.pi * turns) * SINE * voiced + drawn
        merged: Tensor = self.l_linear(waves.transpose(1, 2))
        return torch.tanh(merged).squeeze(-1)


class Generator(nn.Module):
    """Features to the magnitudes and phases of a short Fourier transform, and to samples."""

    def __init__(self, style: int, config: dict[str, Any]) -> None:
        super().__init__()
        rates, kernels = config["upsample_rates"], config["upsample_kernel_sizes"]
        width = config["upsample_initial_channel"]
        self.fft, self.hop = config["gen_istft_n_fft"], config["gen_istft_hop_size"]
        self.m_source = Source(math.prod(rates) * self.hop)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        self.noise_convs, self.noise_res = nn.ModuleList(), nn.ModuleList()
        blocks = list(
            zip(config["resblock_kernel_sizes"], config["resblock_dilation_sizes"], strict=True)
        )
        for level, (rate, kernel) in enumerate(zip(rates, kernels, strict=True)):
            out = width // 2 ** (level + 1)
            self.ups.append(
                nn.ConvTranspose1d(2 * out, out, kernel, rate, padding=(kernel - rate) // 2)
            )
            self.resblocks.extend([AdaINResBlock1(out, k, d, style) for k, d in blocks])
            stride = math.prod(rates[level + 1 :])
            last = stride == 1
            self.noise_convs.append(
                nn.Conv1d(
                    self.fft + 2,
                    out,
                    1 if last else 2 * stride,
                    stride,
                    padding=0 if last else (stride + 1) // 2,
                )
            )
            self.noise_res.append(AdaINResBlock1(out, 11 if last else 7, [1, 3, 5], style))
        self.conv_post = nn.Conv1d(out, self.fft + 2, 7, padding=3)

    def source(self, f0: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """Magnitudes and phases [B, n_fft + 2, frames] of the source of F0 [B, T]."""
        with torch.no_grad(), torch.autocast(f0.device.type, enabled=False):
            spectrum = torch.stft(
                self.m_source(f0.float(), noise),
                *(self.fft, self.hop, self.fft, self._window(f0)),
                return_complex=True,
            )
            return torch.cat([spectrum.abs(), spectrum.angle()], dim=1)

    def forward(
        self, x: Tensor, style: Tensor, f0: Tensor, noise: torch.Generator | None = None
    ) -> Tensor:
        """Features [B, C, T], style [B, style] and F0 in Hz [B, T] to samples [B, S].

        ``noise`` draws the source's noise; None: torch's own generator.
        """
        source = self.source(f0, noise)
        each = len(self.resblocks) // len(self.ups)
        for level, up in enumerate(self.ups):
            aside = self.noise_res[level](self.noise_convs[level](source), style)
            x = up(functional.leaky_relu(x, 0.1))
            if level == len(self.ups) - 1:
                x = functional.pad(x, (1, 0), mode="reflect")
            x = x + aside
            made = [block(x, style) for block in self.resblocks[level * each : (level + 1) * each]]
            x = sum(made[1:], made[0]) / each
        x = self.conv_post(functional.leaky_relu(x, 0.01)).float()
        magnitude, phase = torch.chunk(x, 2, dim=1)
        with torch.autocast(x.device.type, enabled=False):
            spectrum = torch.polar(torch.exp(magnitude), torch.sin(phase))
            samples: Tensor = torch.istft(spectrum, self.fft, self.hop, self.fft, self._window(x))
        return samples

    def _window(self, like: Tensor) -> Tensor:
        return torch.hann_window(self.fft, device=like.device)


class Decoder(nn.Module):
    """Phonemes laid over time, with F0 and energy, to samples."""

    def __init__(self, channels: int, style: int, config: dict[str, Any]) -> None:
        super().__init__()
        out = config["upsample_initial_channel"]
        wide, beside = 2 * out, 2 + TEXT_CHANNELS
        self.encode = AdainResBlk1d(channels + 2, wide, style)
        self.decode = nn.ModuleList(
            [AdainResBlk1d(wide + beside, wide, style) for _ in range(3)]
            + [AdainResBlk1d(wide + beside, out, style, upsample=True)]
        )
        self.F0_conv = nn.Conv1d(1, 1, 3, stride=2, padding=1)
        self.N_conv = nn.Conv1d(1, 1, 3, stride=2, padding=1)
        self.asr_res = nn.Sequential(nn.Conv1d(channels, TEXT_CHANNELS, 1))
        self.generator = Generator(style, config)

    def features(self, phonemes: Tensor, f0: Tensor, energy: Tensor, style: Tensor) -> Tensor:
        """What the generator takes, [B, C, T].

        ``phonemes`` [B, channels, T / 2] is the text over time, ``f0`` (Hz) and ``energy`` (log)
        are [B, T].
        """
        curves = [self.F0_conv(f0[:, None]), self.N_conv(energy[:, None])]
        x = self.encode(torch.cat([phonemes, *curves], dim=1), style)
        text = self.asr_res(phonemes)
        for block in self.decode:
            x = block(torch.cat([x, text, *curves], dim=1), style)
        made: Tensor = x
        return made
