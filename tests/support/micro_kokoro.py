"""A Kokoro of the real architecture, tiny and random: it speaks noise, in no time."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from vc_core.dataset import DatasetClip
from vc_kokoro import packaged
from vc_kokoro.network import Kokoro

SHAPE = packaged.SHAPE | {
    "hidden_dim": 32,
    "style_dim": 8,
    "plbert": packaged.SHAPE["plbert"]
    | {
        "embedding_size": 16,
        "hidden_size": 32,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
    },
    "istftnet": packaged.SHAPE["istftnet"] | {"upsample_initial_channel": 32},
}
SOUNDS = ";:,.!?—… ˈˌAIOWYabdefhijklmnpstuvwzæðŋɑɔəɛɜɡɪɹʃʊʌʒʤʧθᵊT"


def made(folder: Path) -> Path:
    """Write the model, and five stock voices, into a folder."""
    torch.manual_seed(0)
    config = SHAPE | {"vocab": {sound: number for number, sound in enumerate(SOUNDS, 1)}}
    network = Kokoro(config)
    with torch.no_grad():
        network.predictor.F0_proj.bias.fill_(150.0)  # Hz
        network.predictor.duration_proj.linear_layer.bias.fill_(-2.5)  # some 4 of 50 frames
    (folder / "voices").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    save_file(network.state_dict(), folder / "model.safetensors")
    for name in ("af_one", "af_two", "am_three", "bf_four", "ef_five"):
        voice = torch.randn(510, 16) * 0.3
        voice.numpy().astype("<f4").tofile(folder / "voices" / f"{name}.bin")
    return folder


def hum(seconds: float, hertz: float, seed: int = 0) -> np.ndarray:
    """24 kHz samples of a tone with overtones that swells and ebbs, and some noise."""
    time = np.arange(round(seconds * 24_000)) / 24_000
    tone = sum(np.sin(2 * np.pi * hertz * n * time) / n for n in range(1, 9))
    swell = 0.6 + 0.4 * np.sin(7 * time)
    noise = np.random.default_rng(seed).normal(0, 0.01, len(time))
    return (0.1 * tone * swell + noise).astype(np.float32)


TEXTS = ("It began with a bicycle.", "Nobody wanted it.", "So I took it home.", "Then it rained.")


def clips(splits: str = "tttttvx") -> list[DatasetClip]:
    """Clips of 3 s for train (t), validation (v) and test (x)."""
    named = {"t": "train", "v": "validation", "x": "test"}
    return [
        DatasetClip(
            f"clip-{index}",
            named[split],
            TEXTS[index % len(TEXTS)],
            "ada",
            "en",
            hum(3.0, 140 + 5 * index, index),
        )
        for index, split in enumerate(splits)
    ]
