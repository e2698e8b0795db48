"""What CSM learns from: batches made of stored codes, and the two losses over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vc_common import csm
from vc_common.csm import IGNORED, Csm, Utterance

if TYPE_CHECKING:
    import torch


def make_batch(model: Csm, clips: Sequence[Utterance], kept: torch.Tensor | None = None) -> Any:
    """Inputs and labels for clips, padded on the right to the longest of them.

    Losses and logits are those of CSM's own path from waveforms, without the codec. ``kept`` is
    [all frames of the clips]: False leaves a frame out of the depth decoder's loss. The closing
    frame of zeros always stays in it.
    """
    import torch

    base = csm.base_of(model.model)
    rows = [csm.prompt(model.processor, [], clip.text, len(clip.codes)) for clip in clips]
    # What stands at padded positions does not matter: they are not attended to, nor learnt.
    ids = torch.zeros((len(rows), max(map(len, rows))), dtype=torch.long)
    attended = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.from_numpy(row)
        attended[index, : len(row)] = 1
    frames = np.concatenate([clip.codes for clip in clips]).astype(np.int64)
    return csm.with_codes(base, ids, attended, torch.from_numpy(frames), kept)


def targets(batch: dict[str, Any]) -> tuple[int, int]:
    """How many frames of a batch the backbone and the depth decoder learn."""
    labels = batch["labels"]
    backbone = labels[:, :, 0] != IGNORED
    depth = (labels[:, :, 1:] != IGNORED).any(dim=-1)
    return int(backbone.sum()), int(depth.sum())


def losses(model: Csm, batch: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean loss of the backbone (first codebook) and of the depth decoder (the others)."""
    out = model.model(**batch, use_cache=False)
    return out.backbone_loss, out.depth_decoder_loss


def positions(processor: Any, clip: Utterance) -> int:
    """How many of the model's positions a clip takes, text and frames together."""
    return len(csm.prompt(processor, [], clip.text, len(clip.codes)))
