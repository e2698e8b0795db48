"""Base and adapter made one model that loads alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vc_core import files
from vc_kokoro import adapter, weights

NOTE = "This is the merged model: a base model with one voice.\n"


def write(folder: Path, base_model: str, output: Path, dtype: str) -> dict[str, Any]:
    """Load both, write config, weights of ``dtype``, the voice and the card; returns figures.

    ``base_model`` "" is the one that the adapter names. The voice becomes the only one of the
    model, so that it speaks in it without being told.
    """
    import torch
    from safetensors.torch import save_file

    told = adapter.record(folder)
    base = weights.load(base_model or str(told["base_model"]))
    voice = adapter.load(base, folder, whole=True)
    state = {
        name: value.to(getattr(torch, dtype)).contiguous() if value.is_floating_point() else value
        for name, value in base.network.state_dict().items()
    }
    first = weights.LETTERS[str(told["language"])][0]
    with files.atomic_folder(output) as partial:
        save_file(state, partial / "model.safetensors")
        config = files.read_json(base.folder / "config.json") | {"model_type": "kokoro"}
        (partial / "config.json").write_text(json.dumps(config, ensure_ascii=False), "utf-8")
        (partial / "voices").mkdir()
        save_file(
            {"voice": voice[:, None].contiguous()}, partial / "voices" / f"{first}f_own.safetensors"
        )
        if (folder / "README.md").is_file():
            said = (folder / "README.md").read_text("utf-8")
            (partial / "README.md").write_text(f"{said}\n{NOTE}", "utf-8")
    return {"base_model": base.name, "parameters": sum(x.numel() for x in state.values())}
