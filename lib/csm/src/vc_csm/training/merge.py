"""A base and an adapter made one model that loads alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vc_core import files
from vc_core.errors import InputError
from vc_csm import csm

NOTE = "This is the merged model: `CsmForConditionalGeneration.from_pretrained` alone.\n"


def write(adapter: Path, base_model: str, output: Path, dtype: str) -> dict[str, Any]:
    """Load both, merge in float32, write model, processor and card; returns figures.

    ``base_model`` "" is the one that the adapter names; ``dtype`` float32, bfloat16 or float16
    that of the weights that are written.
    """
    import torch

    base = base_model or _base_of(adapter)
    loaded = csm.load(base, "cpu", adapter=str(adapter))
    merged = loaded.model.merge_and_unload().to(getattr(torch, dtype))
    with files.atomic_folder(output) as partial:
        merged.save_pretrained(partial, max_shard_size="4GB")
        loaded.processor.save_pretrained(partial)
        card = adapter / "README.md"
        if card.is_file():
            said = card.read_text("utf-8").replace(
                "library_name: peft", "library_name: transformers"
            )
            (partial / "README.md").write_text(f"{said}\n{NOTE}", "utf-8")
    return {"base_model": base, "parameters": merged.num_parameters()}


def _base_of(adapter: Path) -> str:
    """The base model that an adapter names."""
    named = csm.read_adapter_config(adapter).get("base_model_name_or_path")
    if not named:
        raise InputError(f"{adapter}: its adapter_config.json names no base model; give it")
    return str(named)
