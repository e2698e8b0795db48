"""The two ways to train LoRA matrices on a CSM: PEFT on any device, Unsloth on CUDA.

Both load the same base and leave the same adapter: what one has trained, the other loads.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vc_core import models
from vc_core.errors import InputError
from vc_csm import csm, mimi
from vc_csm.csm import Csm
from vc_speech import pretrained

# The codec's codes are those of the dataset, and the other two are small and matter much.
WHOLE = ["codec_model", "lm_head", "inputs_embeds_projector"]

# On a CPU it warns, as soon as PEFT imports it, that faster kernels could be downloaded.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def choose(backend: str, device: str) -> str:
    """``auto`` becomes unsloth on CUDA where that is installed, else peft.

    Raises InputError for unsloth where it cannot run.
    """
    cuda, installed = device.startswith("cuda"), _installed("unsloth")
    if backend == "auto":
        return "unsloth" if cuda and installed else "peft"
    if backend == "unsloth" and not cuda:
        raise InputError(f"--backend unsloth: needs CUDA, not {device}; use --backend peft or auto")
    if backend == "unsloth" and not installed:
        raise InputError(
            "--backend unsloth: the package unsloth is not installed; use the image of train, "
            "or --backend peft"
        )
    return backend


def has_bitsandbytes() -> bool:
    """Whether weights can be quantised and AdamW can keep its state in 8 bits."""
    return _installed("bitsandbytes")


def load(name: str, backend: str, device: str, dtype: str, quantize: str) -> Csm:
    """Load a base to train on, by folder or Hub id.

    ``dtype`` is float32, bfloat16 or float16; ``quantize`` none, 8bit or 4bit. Quantised are the
    projections of backbone and depth decoder; the codec is whole and in float32 always. Raises
    InputError when there is no such model, or nothing to quantise it with.
    """
    pretrained.quiet()
    place = pretrained.place(name)
    processor = csm.load_processor(name)
    quantization = _quantization(quantize, getattr(torch, dtype))
    read = _read_unsloth if backend == "unsloth" else _read
    try:
        model = read(place, device, getattr(torch, dtype), quantization)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise pretrained.refusal(name, error) from error
    if quantization and not getattr(model, "is_quantized", False):
        raise InputError(
            f"--quantize {quantize}: Unsloth finds bitsandbytes unusable here; "
            "use --quantize none, or --backend peft"
        )
    if quantize == "8bit":
        _let_graphs_hold(model)
    if dtype != "float32" or backend == "unsloth":
        model.codec_model = mimi.load(name, device)
    model.generation_config.pad_token_id = model.config.codebook_pad_token_id
    pretrained.settle_threads(model)
    return Csm(model.eval(), processor, name)


def to_bfloat16(model: Csm) -> None:
    """Turn what is in float32 into bfloat16, all but the codec, in place.

    The tables of rotary positions, which are no parameters, stay exact.
    """
    for name, weight in model.model.named_parameters():
        if not name.startswith("codec_model.") and weight.dtype == torch.float32:
            weight.data = weight.data.to(torch.bfloat16)


def lay_over(
    model: Csm,
    backend: str,
    *,
    r: int,
    alpha: int,
    dropout: float,
    targets: str,
    seed: int,
    gradient_checkpointing: bool,
    base_name: str,
) -> Csm:
    """Freeze the base and add LoRA matrices, in float32, to the modules that match ``targets``.

    ``base_name`` is what the adapter's config calls the base. Raises ValueError when the regular
    expression matches nothing.
    """
    if backend == "unsloth":
        with _unsloth() as fast:
            wrapped = fast.get_peft_model(
                model.model,
                r=r,
                lora_alpha=alpha,
                lora_dropout=dropout,
                target_modules=targets,
                random_state=seed,
                task_type=None,
                # Its own kind covers the codec, too, and wants inputs that require gradients.
                use_gradient_checkpointing=False,
            )
    else:
        from peft import LoraConfig, get_peft_model

        torch.manual_seed(seed)
        config = LoraConfig(r=r, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets)
        wrapped = get_peft_model(model.model, config)
    if gradient_checkpointing:
        base = csm.base_of(wrapped)
        for part in (base.backbone_model, base.depth_decoder.model):
            part.gradient_checkpointing_enable({"use_reentrant": False})
    # PEFT fills in the folder that was resolved; the adapter shall say what was asked for.
    wrapped.peft_config["default"].base_model_name_or_path = base_name
    return dataclasses.replace(model, model=wrapped)


def optimizer(
    weights: Sequence[torch.nn.Parameter], kind: str, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW over the weights; ``kind`` is adamw, adamw8bit, or auto: 8 bits on CUDA if possible.

    Raises InputError for adamw8bit where bitsandbytes is not installed.
    """
    cuda = weights[0].is_cuda
    if kind == "adamw8bit" or (kind == "auto" and cuda and has_bitsandbytes()):
        _need_bitsandbytes("--optimizer adamw8bit", "--optimizer adamw")
        from bitsandbytes.optim import AdamW8bit

        made: torch.optim.Optimizer = AdamW8bit(weights, weight_decay=weight_decay)
        return made
    return torch.optim.AdamW(weights, weight_decay=weight_decay, fused=cuda)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _need_bitsandbytes(option: str, instead: str) -> None:
    if not has_bitsandbytes():
        raise InputError(
            f"{option}: the package bitsandbytes is not installed; "
            f"run: pip install bitsandbytes, or use {instead}"
        )


def _quantization(quantize: str, dtype: torch.dtype) -> Any:
    """What transformers is told of it, or None; arithmetic is in ``dtype``."""
    if quantize == "none":
        return None
    _need_bitsandbytes(f"--quantize {quantize}", "--quantize none")
    from transformers import BitsAndBytesConfig

    warnings.filterwarnings("ignore", "MatMul8bitLt: inputs will be cast")
    if quantize == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=WHOLE)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=WHOLE,
    )


def _let_graphs_hold(model: Any) -> None:
    """Give 8-bit layers a product for speech that a CUDA graph can hold, in place."""
    from bitsandbytes.nn import Linear8bitLt

    for module in model.modules():
        if isinstance(module, Linear8bitLt):
            kind: Any = type(module)
            module.__class__ = _held(kind)


@functools.cache
def _held(kind: Any) -> Any:
    return type(kind.__name__, (kind,), {"forward": _product, "original": kind.forward})


def _product(self: Any, heard: Tensor) -> Tensor:
    """An 8-bit layer: in inference mode, as the decoder runs it, whole inputs and plain weights.

    bitsandbytes' own product, which stays everywhere else, waits for the GPU to say which inputs
    stand out; while a graph is captured nothing may wait.
    """
    if not torch.is_inference_mode_enabled():
        out: Tensor = self.original(heard)
        return out
    scales = self.state.SCB if self.weight.SCB is None else self.weight.SCB
    weight = self.weight.data.to(heard.dtype).mul_(scales[:, None] / 127)
    return functional.linear(heard, weight, self.bias)


def _read(place: str, device: str, dtype: torch.dtype, quantization: Any) -> Any:
    """The model by transformers alone."""
    from transformers import CsmForConditionalGeneration

    placed = {"quantization_config": quantization, "device_map": {"": device}}
    model = CsmForConditionalGeneration.from_pretrained(
        place, dtype=dtype, attn_implementation="sdpa", **(placed if quantization else {})
    )
    csm.tie(model)
    return model if quantization else model.to(device)


def _read_unsloth(place: str, device: str, dtype: torch.dtype, quantization: Any) -> Any:
    """The model by Unsloth, in one type of number and with its own ``generate``."""
    from transformers import CsmForConditionalGeneration

    with _unsloth() as fast:
        model, _ = fast.from_pretrained(
            place,
            dtype=dtype,
            load_in_4bit=False,
            load_in_16bit=quantization is None,
            quantization_config=quantization,
            auto_model=CsmForConditionalGeneration,
            # Otherwise another repository of the same model may be loaded in place of this one.
            use_exact_model_name=True,
            use_gradient_checkpointing=False,
            offload_embedding=False,
            attn_implementation="sdpa",
            device_map={"": device},
        )
    # Unsloth leaves CSM's projections in float16 and the rest in float32, whatever was asked.
    for weight in model.parameters():
        if weight.is_floating_point():
            weight.data = weight.data.to(dtype)
    # Its generate ends training mode and insists on caches of a fixed size.
    vars(model).pop("generate", None)
    return model


@contextlib.contextmanager
def _unsloth() -> Iterator[Any]:
    """Unsloth's FastModel, which prints to stderr here and asks nobody how many use it."""
    os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
    # What it generates and compiles would else lie in the current folder.
    os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(models.cache_folder() / "unsloth"))
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        # It wants to be imported first; what it would then replace in PEFT is not used here.
        warnings.filterwarnings("ignore", "(?s).*Unsloth should be imported before")
        from unsloth import FastModel

        yield FastModel
