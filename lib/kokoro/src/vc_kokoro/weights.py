"""Loading Kokoro: from a folder, the Hub, or packages; and its voices."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vc_core import files, models
from vc_core.errors import InputError
from vc_kokoro import options, packaged
from vc_kokoro.network import Kokoro
from vc_kokoro.threads import settle
from vc_speech import pretrained

VOICED_HZ = 60.0  # F0 that the network foretells below this means nothing
MIDDLE = 60  # a row of a voice that stands for all: that of sentences
STYLES = 510  # rows of a voice: one for every number of phonemes
ENDINGS = (".bin", ".pt", ".safetensors")
# English of America and Britain, and what else Kokoro-82M speaks: the first letter of a voice.
LETTERS = {"en": "ab", "es": "e", "fr": "f", "hi": "h", "it": "i", "pt": "p"}


@dataclass(frozen=True)
class Base:
    """A loaded base model: its name, folder and network."""

    name: str
    folder: Path
    network: Kokoro

    def voices(self, language: str) -> dict[str, Tensor]:
        """The stock voices of a language by name, each [STYLES, 256].

        Raises InputError where the folder has none of it.
        """
        letters = LETTERS.get(language, "")
        found = {
            path.stem: path
            for path in sorted((self.folder / "voices").glob("*"))
            if path.suffix in ENDINGS
            and path.stem[:1] in letters
            and path.stem[1:3] in ("f_", "m_")
        }
        if not found:
            raise InputError(
                f"base model {self.name!r}: no stock voices for {language!r} in "
                f"{self.folder / 'voices'}; for {options.PACKAGED} run: make setup"
            )
        width = 2 * self.network.style_width
        return {name: read_voice(path, width) for name, path in found.items()}


def place(name: str) -> Path:
    """The folder of a base model; raises InputError, or TryAgainError for an unreachable Hub."""
    if name == options.PACKAGED:
        return packaged.folder()
    folder = Path(models.resolve(name)).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download

    pretrained.place(name)
    return Path(
        snapshot_download(
            name, allow_patterns=["config.json", "*.pth", "*.safetensors", "voices/*"]
        )
    )


def load(name: str, device: str = "cpu") -> Base:
    """A base model by name: a folder, a Hub id, or ``package:kokoro``."""
    folder = place(name)
    config = files.read_json(folder / "config.json")
    try:
        network = Kokoro(config)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"base model {name!r}: its config.json is not Kokoro's ({error}); give a model's folder"
        ) from None
    try:
        missing, _ = network.load_state_dict(_weights(folder), strict=False)
        why = f"{len(missing)} are missing, such as {missing[0]}" if missing else ""
    except (RuntimeError, SafetensorError, OSError, pickle.UnpicklingError) as error:
        why = str(error).strip().splitlines()[0]
    if why:
        raise InputError(
            f"base model {name!r}: its weights are not those of its config.json ({why}); "
            "get it again"
        )
    settle(device)
    network.eval().requires_grad_(False)
    return Base(name, folder, network.to(device))


def _weights(folder: Path) -> dict[str, Tensor]:
    """The weights by their modules' names, weight norm folded in."""
    whole = folder / "model.safetensors"
    if whole.is_file():
        return load_file(whole)
    checkpoints = sorted(folder.glob("kokoro*.pth"))
    if not checkpoints:
        raise InputError(f"{folder}: no model.safetensors or kokoro*.pth in it")
    parts: Mapping[str, Mapping[str, Tensor]] = torch.load(
        checkpoints[-1], "cpu", weights_only=True
    )
    flat = {
        f"{part}.{name.removeprefix('module.')}": value
        for part, state in parts.items()
        for name, value in state.items()
    }
    return folded(flat)


def folded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights without weight norm: its magnitudes times its directions."""
    out: dict[str, Tensor] = {}
    for name, value in weights.items():
        if name.endswith(".weight_v"):
            gain = weights[f"{name[:-1]}g"]
            out[name.removesuffix("_v")] = torch._weight_norm(value, gain, 0)
        elif not name.endswith(".weight_g"):
            out[name] = value
    return out


def read_voice(path: Path, width: int) -> Tensor:
    """A voice [STYLES, width]; raises InputError for a file that holds none of that width."""
    try:
        if path.suffix == ".bin":
            styles = torch.from_numpy(np.fromfile(path, "<f4"))
        elif path.suffix == ".pt":
            styles = torch.load(path, "cpu", weights_only=True)
        else:
            styles = next(iter(load_file(path).values()))
        voice: Tensor = styles.reshape(-1, width).float()
    except Exception as error:
        raise InputError(f"{path}: not a voice of {width} numbers a row ({error})") from None
    if len(voice) != STYLES:
        raise InputError(
            f"{path}: a voice has {STYLES} rows of {width} numbers, this one {len(voice)}; "
            "it is another model's"
        )
    return voice


def style_of(voice: Tensor, ids: Tensor) -> Tensor:
    """The row [1, width] of a voice for a text's ids [1, n], silences among them."""
    return voice[max(0, min(ids.shape[1] - 3, STYLES - 1))][None]


def fingerprint(base: Base) -> str:
    """Sixteen hexadecimal digits of a base's weights, rounded so that devices agree."""
    told = hashlib.sha256()
    for weight in (base.network.bert_encoder.weight, base.network.decoder.encode.conv1.weight):
        rounded = weight.detach().to("cpu", torch.bfloat16).contiguous()
        told.update(rounded.view(torch.int16).numpy().tobytes())
    return told.hexdigest()[:16]
