"""A base and an adapter made one model that loads alone."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from vc_core import cli, log
from vc_core.errors import InputError

logger = log.get("train")


def build_parser() -> argparse.ArgumentParser:
    """The options of ``vc-train merge``."""
    parser = cli.parser("vc-train", __doc__)
    parser.usage = "vc-train merge ADAPTER -o OUTPUT [options]"
    parser.add_argument("adapter", type=cli.existing, help="the adapter's folder, from vc-train")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the model's folder")
    parser.add_argument(
        "--base-model", default="", help="folder or Hub id; default: the one the adapter names"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16", "float16"),
        default="bfloat16",
        help="of the weights that are written; they are merged in float32",
    )
    return parser


def work(args: argparse.Namespace) -> dict[str, Any]:
    """Load both, merge, write model, processor and card."""
    import torch

    from vc_core import files
    from vc_csm import csm

    base = args.base_model or _base_of(args.adapter)
    loaded = csm.load(base, "cpu", adapter=str(args.adapter))
    merged = loaded.model.merge_and_unload().to(getattr(torch, args.dtype))
    with files.atomic_folder(args.output) as partial:
        merged.save_pretrained(partial, max_shard_size="4GB")
        loaded.processor.save_pretrained(partial)
        card = args.adapter / "README.md"
        if card.is_file():
            said = card.read_text("utf-8").replace(
                "library_name: peft", "library_name: transformers"
            )
            note = (
                "This is the merged model: `CsmForConditionalGeneration.from_pretrained` alone.\n"
            )
            (partial / "README.md").write_text(f"{said}\n{note}", "utf-8")
    logger.info("wrote %s (%s and %s in one, %s)", args.output, base, args.adapter, args.dtype)
    return {"base_model": base, "parameters": merged.num_parameters()}


def _base_of(adapter: Path) -> str:
    """The base model that an adapter names."""
    try:
        named = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
        return str(named["base_model_name_or_path"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{adapter}: no adapter of vc-train ({error}); give its folder") from None
