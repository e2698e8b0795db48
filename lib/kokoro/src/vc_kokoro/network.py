"""Kokoro's network: from phonemes and a style to durations, F0, energy, and samples.

StyleTTS 2 (Li et al. 2023) without its diffusion, as `hexgrad/Kokoro-82M` has it. A style is 256
numbers: the first half steers how it sounds, the second how it is said. One utterance at a time,
so nothing is padded. n is the number of phonemes, T of frames of 1/80 s; durations count half
that many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AlbertConfig, AlbertModel

from vc_kokoro.vocoder import AdainResBlk1d, Decoder

HOP = 600  # samples in a frame that durations count; F0 and energy have two of them


@dataclass(frozen=True)
class Text:
    """A text as the network knows it, whoever says it.

    ``ids`` [1, n] with silence at both ends; ``prosodic`` and ``acoustic`` [1, hidden, n] are what
    prosody and sound are made from.
    """

    ids: Tensor
    prosodic: Tensor
    acoustic: Tensor


@dataclass(frozen=True)
class Prosody:
    """How a text is said: frames [n] of each phoneme, and F0 (Hz) and energy (log) [1, T]."""

    frames: Tensor
    f0: Tensor
    energy: Tensor

    def to(self, device: torch.device) -> Prosody:
        """The same on a device."""
        return Prosody(self.frames.to(device), self.f0.to(device), self.energy.to(device))


class LayerNorm(nn.Module):
    """Normalises the channels of x [1, C, n]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        x = functional.layer_norm(x.transpose(1, -1), self.gamma.shape, self.gamma, self.beta)
        return x.transpose(1, -1)


class TextEncoder(nn.Module):
    """What is said, for the decoder."""

    def __init__(self, channels: int, kernel: int, depth: int, symbols: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, channels)
        self.cnn = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels, channels, kernel, padding=(kernel - 1) // 2),
                LayerNorm(channels),
                nn.LeakyReLU(0.2),
            )
            for _ in range(depth)
        )
        self.lstm = _bidirectional(channels, channels)

    def forward(self, ids: Tensor) -> Tensor:
        """ids [1, n] to [1, C, n]."""
        x = self.embedding(ids).transpose(1, 2)
        for layer in self.cnn:
            x = layer(x)
        made: Tensor = self.lstm(x.transpose(1, 2))[0]
        return made.transpose(1, 2)


class AdaLayerNorm(nn.Module):
    """Normalises channels, then scales and moves them as the style says."""

    def __init__(self, style: int, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(style, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x [1, n, C] to the same shape."""
        gain, shift = self.fc(style)[:, None].chunk(2, dim=-1)
        made: Tensor = functional.layer_norm(x, x.shape[-1:]) * (1 + gain) + shift
        return made


class DurationEncoder(nn.Module):
    """The text in a style, for durations and contours."""

    def __init__(self, style: int, channels: int, depth: int) -> None:
        super().__init__()
        self.lstms = nn.ModuleList()
        for _ in range(depth):
            self.lstms.append(_bidirectional(channels + style, channels))
            self.lstms.append(AdaLayerNorm(style, channels))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x [1, C, n] to [1, n, C + style]."""
        x = x.transpose(1, 2)
        beside = style[:, None].expand(-1, x.shape[1], -1)
        x = torch.cat([x, beside], dim=-1)
        for index in range(0, len(self.lstms), 2):
            x = self.lstms[index](x)[0]
            x = torch.cat([self.lstms[index + 1](x, style), beside], dim=-1)
        return x


class LinearNorm(nn.Module):
    """A linear layer under the name that the checkpoints have for it."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.linear_layer = nn.Linear(channels, out)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., channels] to [..., out]."""
        made: Tensor = self.linear_layer(x)
        return made


class ProsodyPredictor(nn.Module):
    """How a text is said in a style."""

    def __init__(self, style: int, channels: int, depth: int, longest: int) -> None:
        super().__init__()
        self.text_encoder = DurationEncoder(style, channels, depth)
        self.lstm = _bidirectional(channels + style, channels)
        self.duration_proj = LinearNorm(channels, longest)
        self.shared = _bidirectional(channels + style, channels)
        half = channels // 2
        self.F0 = _contour(channels, half, style)
        self.N = _contour(channels, half, style)
        self.F0_proj = nn.Conv1d(half, 1, 1)
        self.N_proj = nn.Conv1d(half, 1, 1)

    def durations(self, prosodic: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """The text in the style [1, n, C + style], and its phonemes' frames [n], not rounded."""
        inner = self.text_encoder(prosodic, style)
        votes = torch.sigmoid(self.duration_proj(self.lstm(inner)[0]).float())
        return inner, votes.sum(-1)[0]

    def contours(self, inner: Tensor, frames: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """F0 and energy [1, T] of the text in the style, for whole durations [n]."""
        x = self.shared(torch.repeat_interleave(inner, frames, dim=1))[0].transpose(1, 2)
        f0 = energy = x
        for block in self.F0:
            f0 = block(f0, style)
        for block in self.N:
            energy = block(energy, style)
        return self.F0_proj(f0)[:, 0].float(), self.N_proj(energy)[:, 0].float()


class Kokoro(nn.Module):
    """The whole network, as its ``config.json`` describes it."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        hidden, style = config["hidden_dim"], config["style_dim"]
        self.vocabulary: dict[str, int] = config["vocab"]
        self.style_width = style
        albert = AlbertConfig(vocab_size=config["n_token"], **config["plbert"])
        self.longest = albert.max_position_embeddings - 2  # phonemes, without the silences
        self.bert = AlbertModel(albert, add_pooling_layer=False)
        self.bert_encoder = nn.Linear(albert.hidden_size, hidden)
        self.predictor = ProsodyPredictor(style, hidden, config["n_layer"], config["max_dur"])
        self.text_encoder = TextEncoder(
            hidden, config["text_encoder_kernel_size"], config["n_layer"], config["n_token"]
        )
        self.decoder = Decoder(hidden, style, config["istftnet"])

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.bert_encoder.weight.device

    @torch.no_grad()
    def encode(self, phonemes: str) -> Text:
        """A text's phonemes as the network knows them; those that it does not know are left out."""
        known = [self.vocabulary[sound] for sound in phonemes if sound in self.vocabulary]
        ids = torch.tensor([[0, *known[: self.longest], 0]], device=self.device)
        hidden = self.bert(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return Text(ids, self.bert_encoder(hidden).transpose(1, 2), self.text_encoder(ids))

    def prosody(self, text: Text, style: Tensor, speed: float = 1.0) -> Prosody:
        """How the text is said in a style [1, 2 * style_width]; ``speed`` 2 halves its length."""
        manner = style[:, self.style_width :]
        inner, frames = self.predictor.durations(text.prosodic, manner)
        whole = torch.round(frames / speed).clamp(min=1).long()
        return Prosody(whole, *self.predictor.contours(inner, whole, manner))

    def features(self, text: Text, prosody: Prosody, style: Tensor) -> Tensor:
        """What the decoder's generator takes, [1, C, T]."""
        over_time = torch.repeat_interleave(text.acoustic, prosody.frames, dim=2)
        made: Tensor = self.decoder.features(
            over_time, prosody.f0, prosody.energy, self.timbre(style)
        )
        return made

    def timbre(self, style: Tensor) -> Tensor:
        """The half [1, style_width] of a style that steers how it sounds."""
        return style[:, : self.style_width]

    def sound(
        self, text: Text, prosody: Prosody, style: Tensor, noise: torch.Generator | None = None
    ) -> Tensor:
        """Samples [S] at 24 kHz of a text said in a way, in a style [1, 2 * style_width].

        ``noise`` draws the noise of unvoiced sounds.
        """
        features = self.features(text, prosody, style)
        samples: Tensor = self.decoder.generator(features, self.timbre(style), prosody.f0, noise)
        return samples[0]


def _bidirectional(channels: int, out: int) -> nn.LSTM:
    return nn.LSTM(channels, out // 2, batch_first=True, bidirectional=True)


def _contour(channels: int, half: int, style: int) -> nn.ModuleList:
    return nn.ModuleList(
        [
            AdainResBlk1d(channels, channels, style),
            AdainResBlk1d(channels, half, style, upsample=True),
            AdainResBlk1d(half, half, style),
        ]
    )
