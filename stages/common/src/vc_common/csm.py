"""CSM, the speaking model: loading, prompts, batches from stored codes, losses, speech.

Importing this module loads neither torch nor transformers; its functions do. A clip's codes are
what its codec, Mimi, makes of the sound: [frames, codebooks] numbers. The frame of all zeros
ends an utterance.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vc_common import audio, files, mimi, pretrained
from vc_common.audio import Samples
from vc_common.errors import InputError
from vc_common.mimi import Codes

MAX_SECONDS = 10.0  # the longest utterance CSM has learnt
SPEAKER = "0"  # the number that CSM's prompts give the voice being cloned
IGNORED = -100  # label of a position that is not learnt

# The projections of backbone and depth decoder. A plain list of their names would also match
# the codec's transformers, which never train.
LORA_TARGETS = (
    r"(backbone_model|depth_decoder)\..*\."
    r"(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
)


@dataclass(frozen=True)
class Csm:
    """A loaded CSM: the model (with adapter, if one was given), its processor, its name."""

    model: Any
    processor: Any
    name: str
    adapter: str | None = None

    @property
    def frame_rate(self) -> float:
        """Frames a second of its codec."""
        return float(self.model.config.codec_config.frame_rate)


@dataclass(frozen=True)
class Utterance:
    """What was said and its codes, [frames, codebooks]."""

    text: str
    codes: Codes


@dataclass(frozen=True)
class Speech:
    """Generated audio at 24 kHz, and whether the model ended it by itself."""

    samples: Samples
    codes: Codes
    stopped_by_itself: bool


def load(name: str, device: str = "auto", dtype: str = "float32", adapter: str = "") -> Csm:
    """Load CSM by folder or Hub id, and a LoRA adapter over it; for inference, in eval mode.

    ``dtype`` is float32 or bfloat16. Raises InputError when there is no such model, or when the
    adapter does not fit it.
    """
    import torch
    from transformers import CsmForConditionalGeneration

    pretrained.quiet()
    place = pretrained.place(name)
    processor = load_processor(name)
    try:
        model = CsmForConditionalGeneration.from_pretrained(place, dtype=getattr(torch, dtype))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise pretrained.refusal(name, error) from error
    model.generation_config.pad_token_id = model.config.codebook_pad_token_id
    pretrained.settle_threads(model)
    if adapter:
        model = _with_adapter(model, adapter)
    return Csm(model.eval().to(pretrained.choose_device(device)), processor, name, adapter or None)


def load_processor(name: str) -> Any:
    """Tokenizer, chat template and feature extractor of a CSM, without its weights."""
    from transformers import CsmProcessor

    try:
        return CsmProcessor.from_pretrained(pretrained.place(name))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise pretrained.refusal(name, error) from error


def prompt(processor: Any, context: Sequence[Utterance], text: str, frames: int | None) -> Any:
    """Token ids [positions] of a conversation in the model's own chat template.

    Every frame of audio has one position. With ``frames`` the last utterance is complete, as in
    training; without, the model is to speak it.
    """
    said = [(part.text, len(part.codes)) for part in context]
    said.append((text, -1 if frames is None else frames))
    conversation = []
    for words, length in said:
        content = [{"type": "text", "text": words}]
        if length >= 0:
            content.append({"type": "audio"})
        conversation.append({"role": SPEAKER, "content": content})
    written = processor.apply_chat_template(conversation, tokenize=False)
    pieces = written.split(processor.audio_token)
    lengths = [length for _, length in said if length >= 0]
    expanded = pieces[0]
    for length, piece in zip(lengths, pieces[1:], strict=True):
        expanded += processor.audio_token * length + piece
    tokens = processor.tokenizer(expanded, add_special_tokens=False, return_tensors="np")
    return tokens["input_ids"][0]


def with_codes(base: Any, ids: Any, attended: Any, frames: Any, kept: Any) -> dict[str, Any]:
    """Put frames [n, codebooks] where the ids [batch, positions] say audio, and label them."""
    import torch

    config, device = base.config, base.device
    ids, frames, attended = ids.to(device), frames.to(device), attended.to(device)
    heard = (ids == config.audio_token_id) & attended.bool()
    end = (ids == config.audio_eos_token_id) & attended.bool()
    closing = torch.full(
        (int(end.sum()), config.num_codebooks), config.codebook_eos_token_id, device=device
    )
    embeddings = base.embed_text_tokens(ids)
    labels = torch.full((*ids.shape, config.num_codebooks), IGNORED, device=device)
    for where, codes in ((heard, frames), (end, closing)):
        embeddings[where] = base.backbone_model.embed_tokens(codes[:, None])[:, 0]
        labels[where] = codes
    if kept is not None:
        left_out = heard.nonzero()[~kept.to(device)]
        labels[left_out[:, 0], left_out[:, 1], 1:] = IGNORED
    return {"inputs_embeds": embeddings, "attention_mask": attended, "labels": labels}


def speak(
    csm: Csm,
    text: str,
    context: Sequence[Utterance] = (),
    *,
    seed: int = 0,
    temperature: float = 0.9,
    top_k: int = 50,
    max_seconds: float = MAX_SECONDS,
) -> Speech:
    """Say ``text``, in the voice of the adapter, or after ``context`` in the voice of that.

    ``temperature`` 0 always takes the likeliest code. Stops at the frame of zeros, or at the
    length the text allows, at most ``max_seconds``. Raises InputError when text and context
    leave no room in the model's positions.
    """
    import torch

    base = base_of(csm.model)
    config = base.config
    row = prompt(csm.processor, context, text, None)
    room = config.max_position_embeddings - len(row)
    limit = min(frame_limit(text, csm.frame_rate, max_seconds), room)
    if limit < 1:
        raise InputError(
            f"text and context take {len(row)} of the model's {config.max_position_embeddings} "
            "positions; shorten them"
        )
    ids = torch.from_numpy(row)[None]
    nothing = np.zeros((0, config.num_codebooks), dtype=np.int16)
    heard = [part.codes for part in context]
    inputs = with_codes(
        base,
        ids,
        torch.ones_like(ids),
        torch.from_numpy(np.concatenate([nothing, *heard]).astype(np.int64)),
        None,
    )
    torch.manual_seed(seed)
    with torch.inference_mode():
        codes = base.generate(
            inputs_embeds=inputs["inputs_embeds"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=limit,
            **sampling(config, temperature, top_k),
        )[0].cpu()
    ended = (codes == config.codebook_eos_token_id).all(dim=-1).nonzero()
    stop = int(ended[0]) if len(ended) else len(codes)
    said = np.asarray(codes[:stop].numpy(), dtype=np.int16)
    return Speech(mimi.decode(base.codec_model, said), said, bool(len(ended)))


def context_of(csm: Csm, recording: Path, text: str = "") -> Utterance:
    """A recording as context: its codes, and ``text`` or what the .json beside it says was said.

    ``vc-reference`` writes such a file. Raises InputError where there is no text at all.
    """
    beside = recording.with_suffix(".json")
    said = text or (str(files.read_json(beside).get("text", "")) if beside.is_file() else "")
    if not said:
        raise InputError(
            f"{recording}: as context it needs the text that is said in it; give it as an option, "
            f"or in {beside.name} beside it"
        )
    samples, _ = audio.read(recording, audio.TTS_RATE)
    return Utterance(said, mimi.encode(base_of(csm.model).codec_model, samples))


def sampling(config: Any, temperature: float, top_k: int) -> dict[str, Any]:
    """What both decoders are told at every ``generate``.

    The depth decoder forgets what generation_config.json says of it, and the ids above the
    codebooks, which no codec can decode, are never to be drawn.
    """
    codes = config.codec_config.codebook_size
    kwargs: dict[str, Any] = {
        "do_sample": temperature > 0,
        "suppress_tokens": list(range(codes, config.vocab_size)),
    }
    if temperature > 0:
        kwargs |= {"temperature": temperature, "top_k": top_k}
    return kwargs | {f"depth_decoder_{name}": value for name, value in kwargs.items()}


def frame_limit(text: str, frame_rate: float, max_seconds: float) -> int:
    """The most frames that a text can need: slow speech (7 letters a second) and two pauses."""
    return math.ceil(min(2.0 + len(text) / 7.0, max_seconds) * frame_rate)


def base_of(model: Any) -> Any:
    """The CSM inside a PEFT model, its LoRA layers in place; or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _with_adapter(model: Any, adapter: str) -> Any:
    """Lay a LoRA adapter over the model; folders and Hub ids alike."""
    from peft import PeftModel

    folder = Path(adapter)
    if folder.exists() or adapter.startswith((".", "/", "~")):
        config_file = folder / "adapter_config.json"
        if not config_file.is_file():
            raise InputError(f"adapter {adapter!r}: no adapter_config.json there; train it first")
        json.loads(config_file.read_text("utf-8"))
    try:
        return PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise InputError(f"adapter {adapter!r}: does not fit this base model ({reason})") from error
