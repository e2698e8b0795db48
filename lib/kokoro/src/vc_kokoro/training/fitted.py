"""What learns: LoRA in the decoder, biases of the layers that the style steers, and the voice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vc_core.errors import InputError
from vc_kokoro import lora
from vc_kokoro.network import Kokoro
from vc_kokoro.options import KokoroTraining
from vc_kokoro.weights import Base, style_of

# Learning rates by that of LoRA: biases, and the voice in units of how much stock voices differ.
BIAS_RATE, VOICE_RATE = 2.0, 30.0
LEAST_SPREAD = 1e-3


class Fitted:
    """A base with everything that learns laid over it.

    The source of the generator (``noise_res``) stays as it is: it takes a third of the work, and
    learning it gained nothing.
    """

    def __init__(self, base: Base, start: Tensor, spread: Tensor, training: KokoroTraining) -> None:
        """``start`` is the voice [510, 256] to begin with, ``spread`` [256] how voices differ."""
        network = base.network
        self.network: Kokoro = network
        self.model: Any = lora.add(network, training.lora_r, base.name, training.seed)
        lora.join(self.model)
        self.start = start.to(network.device)
        self.spread = spread.clamp(min=LEAST_SPREAD).to(network.device)
        self.offset = nn.Parameter(torch.zeros_like(self.spread))
        self.biases = {
            plain(name): parameter
            for name, parameter in network.named_parameters()
            if name.endswith("fc.bias") and "noise_res" not in name
        }
        self.biases |= {
            f"predictor.{name}": parameter
            for name, parameter in network.predictor.named_parameters()
            if "_proj." in name
        }
        for parameter in self.biases.values():
            parameter.requires_grad_(True)

    @property
    def device(self) -> torch.device:
        """Where it learns."""
        return self.network.device

    def voice(self) -> Tensor:
        """The voice [510, 256] as it is now."""
        return self.start + self.offset * self.spread

    def style(self, ids: Tensor) -> Tensor:
        """The style [1, 256] for a text's ids [1, n]."""
        return style_of(self.start, ids) + self.offset * self.spread

    def matrices(self) -> list[nn.Parameter]:
        """LoRA's."""
        return [weight for name, weight in self.model.named_parameters() if "lora_" in name]

    def sound_parameters(self) -> list[dict[str, Any]]:
        """What makes the sound, in groups for an optimizer; ``scale`` is the rate by LoRA's."""
        biases = [bias for name, bias in self.biases.items() if name.startswith("decoder")]
        return [
            {"params": self.matrices(), "scale": 1.0},
            {"params": biases, "scale": BIAS_RATE},
            {"params": [self.offset], "scale": VOICE_RATE},
        ]

    def prosody_parameters(self) -> list[nn.Parameter]:
        """The predictor's biases and projections."""
        return [bias for name, bias in self.biases.items() if name.startswith("predictor")]

    def state(self) -> dict[str, Tensor]:
        """A copy of all that learns, by name, on the CPU."""
        named = {f"bias.{name}": bias for name, bias in self.biases.items()}
        named |= {name: weight for name, weight in self.model.named_parameters() if "lora_" in name}
        named["offset"] = self.offset
        return {name: value.detach().to("cpu", copy=True) for name, value in named.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take on a state."""
        own = dict(self.model.named_parameters())
        own |= {f"bias.{name}": bias for name, bias in self.biases.items()}
        own["offset"] = self.offset
        for name, value in state.items():
            if name not in own or own[name].shape != value.shape:
                raise InputError(f"checkpoint: {name} does not fit this model; train anew")
            own[name].data.copy_(value.to(self.device))


def plain(name: str) -> str:
    """A parameter's name without what PEFT puts around layers."""
    return name.replace(".base_layer", "")
