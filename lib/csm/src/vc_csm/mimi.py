"""Mimi, the codec of CSM: sound to codes, codes to sound, and whose codes they are.

Importing this module loads neither torch nor transformers; its functions do. A clip's codes are
[frames, codebooks] numbers.
"""

import hashlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from vc_core import devices
from vc_core.audio import Samples
from vc_core.errors import InputError
from vc_speech import pretrained

Codes = npt.NDArray[np.int16]  # [frames, codebooks]


def load(name: str, device: str = "auto") -> Any:
    """Only the codec of a CSM, in float32: what it says in lower precision are other codes."""
    import torch
    from transformers import CsmConfig, MimiModel

    pretrained.quiet()
    place = pretrained.place(name)
    try:
        config = CsmConfig.from_pretrained(place)
        codec, report = MimiModel.from_pretrained(
            place,
            config=config.codec_config,
            dtype=torch.float32,
            key_mapping={r"^codec_model\.": ""},
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise pretrained.refusal(name, error) from error
    if report["missing_keys"]:
        raise InputError(f"model {name!r}: has no codec (codec_model.*); is it a whole CSM?")
    pretrained.settle_threads(codec)
    return codec.eval().to(devices.choose(device))


def fingerprint(codec: Any) -> str:
    """Sixteen hexadecimal digits that differ when codes mean something else.

    Made of the codebooks alone, rounded to bfloat16, so that a model loaded in either precision
    gives the same.
    """
    import torch

    digest = hashlib.sha256()
    books = {name: value for name, value in codec.state_dict().items() if "embed_sum" in name}
    for name in sorted(books):
        rounded = books[name].to("cpu", torch.bfloat16).contiguous().view(torch.int16)
        digest.update(name.encode() + rounded.numpy().tobytes())
    return digest.hexdigest()[:16]


def encode(codec: Any, samples: Samples) -> Codes:
    """The codes of one clip at 24 kHz, mono.

    Clips go one by one: padding to the longest of a batch would change the last frame.
    """
    import torch

    heard = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))[None, None]
    with torch.inference_mode():
        codes = codec.encode(heard.to(codec.device)).audio_codes[0].T
    return np.asarray(codes.cpu().numpy(), dtype=np.int16)


def decode(codec: Any, codes: Codes) -> Samples:
    """The sound of [frames, codebooks] codes, at 24 kHz; empty for no frames."""
    import torch

    if not len(codes):
        return np.zeros(0, dtype=np.float32)
    with torch.inference_mode():
        numbers = torch.from_numpy(codes.astype(np.int64)).T[None].to(codec.device)
        sound = codec.decode(numbers).audio_values[0, 0]
    return np.asarray(sound.float().cpu().numpy())


class Stream:
    """Codes to sound piece by piece: together the pieces are what ``decode`` makes of the whole.

    Mimi looks only backwards, so a piece needs frames before it and none after it. It gets as
    many as one of its transformer's layers sees, 10 s: all there are in what CSM says at once.
    """

    def __init__(self, codec: Any) -> None:
        self._codec = codec
        config = codec.config
        self._samples = round(config.sampling_rate / config.frame_rate)  # in a frame
        # The window counts the transformer's positions, which are shorter than frames.
        position = math.prod(config.upsampling_ratios)  # samples
        self._look_back = config.sliding_window * position // self._samples
        self._heard: Codes = np.zeros((0, config.num_quantizers), dtype=np.int16)

    def feed(self, codes: Codes) -> Samples:
        """The sound of the next [frames, codebooks] codes."""
        window = np.concatenate([self._heard, codes])
        self._heard = window[-self._look_back :]
        return decode(self._codec, window)[-len(codes) * self._samples :]
