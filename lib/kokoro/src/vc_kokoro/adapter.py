"""The folder that a fitted voice is kept in, and how a network takes it on.

``voice.safetensors`` is a voice pack of the stock voices' shape, which other programs for Kokoro
can use, ``adapter_model.safetensors`` PEFT's LoRA matrices, and ``biases.safetensors`` the biases
that were learnt beside them. ``training.json`` names the stock voices that it began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from vc_core import files
from vc_core.errors import InputError
from vc_kokoro import lora, weights
from vc_kokoro.network import Kokoro
from vc_kokoro.weights import Base

VOICE, BIASES, RECORD = "voice.safetensors", "biases.safetensors", "training.json"


def write_weights(folder: Path, model: Any, voice: Tensor, biases: Mapping[str, Tensor]) -> None:
    """Put a PeftModel's matrices, a voice [510, 256] and biases by name into a folder."""
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's, which says nothing
    save_file({"voice": voice[:, None].detach().cpu().contiguous()}, folder / VOICE)
    kept = {name: bias.detach().cpu().contiguous() for name, bias in biases.items()}
    save_file(kept, folder / BIASES)


def load(base: Base, folder: Path, whole: bool) -> Tensor:
    """The voice [510, 256] of a folder; with ``whole`` the network becomes the fitted one, too.

    Raises InputError for a folder that is none, or of another base.
    """
    told = record(folder)
    if told.get("base_weights") != weights.fingerprint(base):
        raise InputError(
            f"{folder}: an adapter of another base model ({told.get('base_model')}) than "
            f"{base.name}; give that one as the base model"
        )
    voice = weights.read_voice(folder / VOICE, 2 * base.network.style_width)
    if whole:
        lora.load(base.network, folder).merge_and_unload()
        set_biases(base.network, read_biases(folder))
        base.network.requires_grad_(False)
    return voice


def read_biases(folder: Path) -> dict[str, Tensor]:
    """The biases that a folder keeps."""
    try:
        return load_file(folder / BIASES)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder / BIASES}: cannot be read ({error}); train again") from None


def set_biases(network: Kokoro, biases: Mapping[str, Tensor]) -> None:
    """Put biases into a network, by the names of its parameters."""
    for name, bias in biases.items():
        own = network.get_parameter(name)
        own.data.copy_(bias.to(own.device))


def mixture(folder: Path) -> dict[str, float]:
    """The stock voices, and how much of each, that a fitted voice began with."""
    told: dict[str, float] = record(folder)["mixture"]
    return told


def record(folder: Path) -> dict[str, Any]:
    """What training.json of a fitted voice says; raises InputError where it says something else."""
    path = folder / RECORD
    told: dict[str, Any] = files.read_json(path) if path.is_file() else {}
    if not {"mixture", "base_weights"} <= set(told):
        raise InputError(f"{folder}: no adapter of Kokoro; give the folder that vc-train wrote")
    return told
