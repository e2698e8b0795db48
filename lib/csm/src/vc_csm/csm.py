"""CSM, the speaking model: loading, prompts, batches from stored codes, losses, speech.

Importing this module loads neither torch nor transformers; its functions do. A clip's codes are
what its codec, Mimi, makes of the sound: [frames, codebooks] numbers. The frame of all zeros
ends an utterance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vc_core import audio, devices, files
from vc_core.audio import Samples
from vc_core.errors import InputError
from vc_csm import mimi
from vc_csm.mimi import Codes
from vc_csm.options import CsmSpeaking
from vc_speech import pretrained

if TYPE_CHECKING:
    import torch

    from vc_csm.decoder import Decoder, Prompt

SPEAKER = "0"  # the number that CSM's prompts give the voice being cloned

# How much time a text is given.
SLOW = 7.0  # letters a second: the slowest speech of a voice of which nothing is known
SLOW_SHARE = 0.6  # of its median rate: the slowest speech of a known voice
USUAL = 4 / 3  # times the slowest: speech at an unhurried pace
PAUSES = 2.0  # seconds

FIRST_BLOCK = 8  # frames of the first piece of a stream: as much as a watermark needs, and more

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


def load(
    name: str,
    device: str = "auto",
    dtype: str = "float32",
    adapter: str = "",
) -> Csm:
    """Load CSM by folder or Hub id, and a LoRA adapter over it; for inference, in eval mode.

    ``dtype`` is float32 or bfloat16; the codec stays in float32, because in less it hears other
    codes. Raises InputError when there is no such model, or when the adapter does not fit it.
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
    tie(model)
    model.generation_config.pad_token_id = model.config.codebook_pad_token_id
    if dtype != "float32":
        model.codec_model = mimi.load(name, "cpu")
    pretrained.settle_threads(model)
    if adapter:
        model = _with_adapter(model, adapter)
    model = model.eval().to(devices.choose(device))
    return Csm(model, processor, name, adapter or None)


def merged(csm: Csm) -> Csm:
    """The same voice with its adapter, if it has one, made part of the weights: it is faster."""
    if not hasattr(csm.model, "merge_and_unload"):
        return csm
    return replace(csm, model=csm.model.merge_and_unload())


def tie(model: Any) -> None:
    """Let backbone and depth decoder share their embeddings of codes, where they are to.

    transformers 5.17 leaves random numbers in the one of them that a checkpoint does not repeat.
    """
    if model.config.tie_codebooks_embeddings:
        shared = model.depth_decoder.model.embed_tokens.weight
        model.backbone_model.embed_tokens.embed_audio_tokens.weight = shared


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


def positions_of(name: str) -> int:
    """How many positions a CSM has for context, text and frames together."""
    from transformers import CsmConfig

    try:
        return int(CsmConfig.from_pretrained(pretrained.place(name)).max_position_embeddings)
    except (OSError, ValueError, KeyError) as error:
        raise pretrained.refusal(name, error) from error


def positions(processor: Any, said: Utterance) -> int:
    """How many of the model's positions an utterance takes, text and frames together."""
    return len(prompt(processor, [], said.text, len(said.codes)))


def closed(clips: Sequence[Utterance], config: Any) -> torch.Tensor:
    """The codes of clips one after the other, each with its closing frame: [frames, codebooks]."""
    import torch

    end = np.full((1, config.num_codebooks), config.codebook_eos_token_id, dtype=np.int64)
    parts = [part.astype(np.int64) for clip in clips for part in (clip.codes, end)]
    return torch.from_numpy(np.concatenate([end[:0], *parts]))


def sounding(ids: torch.Tensor, config: Any) -> torch.Tensor:
    """Where frames stand in ids [rows, positions], closing ones too: [frames] of flat places."""
    sound: torch.Tensor = (ids == config.audio_token_id) | (ids == config.audio_eos_token_id)
    return sound.flatten().nonzero()[:, 0]


def embed(base: Any, ids: torch.Tensor, codes: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Embeddings [rows, positions, hidden] of ids, with ``closed`` codes at their ``places``."""
    ids, codes, places = (part.to(base.device, non_blocking=True) for part in (ids, codes, places))
    words = base.embed_text_tokens(ids)
    heard = base.backbone_model.embed_tokens(codes[:, None])[:, 0].to(words.dtype)
    whole: torch.Tensor = words.flatten(0, 1).index_copy(0, places, heard).view_as(words)
    return whole


def speak(
    csm: Csm,
    text: str,
    context: Sequence[Utterance] = (),
    *,
    seed: int = 0,
    letters_a_second: float = SLOW,
    **how: Any,
) -> Speech:
    """Say one text, as a ``Speaker`` says several; ``how`` are fields of CsmSpeaking."""
    return Speaker(csm, context, CsmSpeaking(**how), letters_a_second).say([text], [seed])[0]


class Speaker:
    """A model that speaks, with what decoding needs allocated as long as this lives.

    It speaks in the voice of the adapter, or after ``context`` in the voice of that. Each text
    stops at the frame of zeros, or at the length that ``frame_limit`` allows. What a seed makes of
    a text depends on nothing else in the batch. Raises InputError when text and context leave no
    room in the model's positions.
    """

    def __init__(
        self,
        csm: Csm,
        context: Sequence[Utterance],
        how: CsmSpeaking,
        letters_a_second: float = SLOW,
    ) -> None:
        """``letters_a_second`` is the slowest speech that is allowed for."""
        self._csm = csm
        self._base = base_of(csm.model)
        self._context = context
        self._how = how
        self._letters_a_second = letters_a_second
        self._decoder: Decoder | None = None

    def say(self, texts: Sequence[str], seeds: Sequence[int]) -> list[Speech]:
        """Say texts, each by its own seed; in batches of those that will take about as long."""
        import torch

        if not texts:
            return []
        with torch.inference_mode():
            prompts = [self._prompt(*pair) for pair in zip(texts, seeds, strict=True)]
        said: dict[int, Speech] = {}
        # As many batches as are needed, all of about one size, so that few rows stand idle.
        rows = math.ceil(len(prompts) / math.ceil(len(prompts) / self._how.batch_size))
        decoder = self._room(rows, prompts)
        order = sorted(range(len(prompts)), key=lambda index: prompts[index].limit)
        for start in range(0, len(order), rows):
            batch = order[start : start + rows]
            made = decoder.say([prompts[index] for index in batch])
            for index, (codes, ended) in zip(batch, made, strict=True):
                frames = np.asarray(codes.numpy(), dtype=np.int16)
                said[index] = Speech(mimi.decode(self._base.codec_model, frames), frames, ended)
        return [said[index] for index in range(len(prompts))]

    def stream(self, text: str, seed: int) -> Iterator[Samples]:
        """Say one text; its samples come piece by piece while it is being spoken."""
        import torch

        with torch.inference_mode():
            prompt = self._prompt(text, seed)
        sound = mimi.Stream(self._base.codec_model)
        for codes in self._room(1, [prompt]).stream(prompt, block_sizes()):
            yield sound.feed(np.asarray(codes.numpy(), dtype=np.int16))

    def _prompt(self, text: str, seed: int) -> Prompt:
        """A text after the context, embedded, and the frames that it may take."""
        import torch

        from vc_csm.decoder import Prompt

        config = self._base.config
        row = prompt(self._csm.processor, self._context, text, None)
        room = config.max_position_embeddings - len(row)
        longest = frame_limit(
            text, self._csm.frame_rate, self._how.max_seconds, self._letters_a_second
        )
        limit = min(longest, room)
        if limit < 1:
            raise InputError(
                f"text and context take {len(row)} of the model's "
                f"{config.max_position_embeddings} positions; shorten them"
            )
        ids = torch.from_numpy(row)[None]
        codes = closed(self._context, config)
        return Prompt(embed(self._base, ids, codes, sounding(ids, config))[0], seed, limit)

    def _room(self, rows: int, prompts: Sequence[Prompt]) -> Decoder:
        """A decoder with room for any of these prompts: the last one, if it has."""
        from vc_csm.decoder import Decoder, Size

        frames = max(prompt.limit for prompt in prompts)
        size = Size(rows, max(len(prompt.embeddings) for prompt in prompts) + frames, frames)
        if self._decoder is None or not self._decoder.size.holds(size):
            self._decoder = None  # its memory goes before more is taken
            self._decoder = Decoder(self._base, size, self._how.temperature, self._how.top_k)
        return self._decoder


def block_sizes() -> Iterator[int]:
    """Frames of the pieces of streamed speech: the first comes soon, later ones cost less."""
    yield from (FIRST_BLOCK, 2 * FIRST_BLOCK)
    while True:
        yield 4 * FIRST_BLOCK


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


def frame_limit(
    text: str, frame_rate: float, max_seconds: float, letters_a_second: float = SLOW
) -> int:
    """The most frames that a text can need, at its slowest and with two pauses."""
    return math.ceil(min(PAUSES + len(text) / letters_a_second, max_seconds) * frame_rate)


def letters_at_once(max_seconds: float, letters_a_second: float) -> int:
    """The longest text to say at once: it fits unless it is said far slower than usual."""
    return max(1, int((max_seconds - PAUSES / 2) * letters_a_second * USUAL))


def speaking_dtype(device: str) -> str:
    """What a model that only speaks computes in: bfloat16 on CUDA halves what a frame reads."""
    return "bfloat16" if device == "cuda" else "float32"


def rate_of(adapter: str | Path) -> float | None:
    """Letters a second at which the adapter's voice speaks (median), where training wrote it."""
    record = Path(adapter) / "training.json"
    rate = files.read_json(record).get("letters_a_second") if record.is_file() else None
    return float(rate) if rate else None


def slowest(adapter: str | Path) -> float:
    """Letters a second that are to be allowed for: slow speech of the adapter's voice."""
    rate = rate_of(adapter) if str(adapter) else None
    return SLOW_SHARE * rate if rate else SLOW


def base_of(model: Any) -> Any:
    """The CSM inside a PEFT model, its LoRA layers in place; or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def read_adapter_config(adapter: Path) -> dict[str, Any]:
    """What an adapter's folder says of itself; InputError where it holds none, or a damaged one."""
    path = adapter / "adapter_config.json"
    if not path.is_file():
        raise InputError(f"adapter {str(adapter)!r}: no adapter_config.json there; train it first")
    told = files.read_json(path)
    if not isinstance(told, dict):
        raise InputError(f"{path}: not a JSON object; train the adapter again")
    return told


def _with_adapter(model: Any, adapter: str) -> Any:
    """Lay a LoRA adapter over the model; folders and Hub ids alike."""
    from peft import PeftModel
    from safetensors import SafetensorError

    folder = Path(adapter)
    if folder.exists() or adapter.startswith((".", "/", "~")):
        read_adapter_config(folder)
    try:
        return PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        raise InputError(f"adapter {adapter!r}: does not fit this base model ({reason})") from error
