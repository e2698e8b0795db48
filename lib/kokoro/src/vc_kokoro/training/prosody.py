"""Learning how the speaker says things: pitch, its range, energy and tempo.

Cheap, because no sound is made; and dangerous, because words break when it goes too far. So what
was learnt is taken in full, in half or not at all, as the words are understood.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vc_core import log
from vc_core.errors import TryAgainError
from vc_kokoro.training.crops import Example
from vc_kokoro.training.fitted import Fitted
from vc_kokoro.training.loop import Run, heard
from vc_kokoro.weights import VOICED_HZ
from vc_speech.training.choice import WER_SLACK
from vc_speech.training.rows import Row
from vc_speech.training.stop import Stop

logger = log.get("train")

VOICE_RATE, RATE = 0.05, 1e-3
F0, ENERGY, TEMPO, OFFSET = 3.0, 0.3, 0.5, 0.01  # weights of the distances
SHARES = (1.0, 0.5)  # of what was learnt, the first whose words are understood


def fit(
    fitted: Fitted, examples: Sequence[Example], steps: int, seed: int, stop: Stop | None = None
) -> Row:
    """Learn from whole clips, one a step; returns the mean distances of the last ones.

    Raises TryAgainError, with nothing learnt, when it is stopped.
    """
    for module in fitted.network.predictor.modules():
        if isinstance(module, nn.LSTM):
            module.train()  # cuDNN has no gradient otherwise; there is no dropout in them
    parameters = fitted.prosody_parameters()
    optimizer = torch.optim.Adam(
        [{"params": [fitted.offset], "lr": VOICE_RATE}, {"params": parameters, "lr": RATE}]
    )
    drawn = np.random.default_rng([seed, 11])
    rows = []
    for _ in log.progress(range(steps), desc="prosody", unit="step", total=steps):
        if stop is not None and stop.asked:
            raise TryAgainError(
                "stopped by SIGTERM while prosody was learnt; run the same command again to go "
                "on from the last checkpoint"
            )
        example = examples[int(drawn.integers(len(examples)))]
        found = distances(fitted, example)
        weights = torch.tensor([F0, ENERGY, TEMPO], device=found.device)
        loss = (found * weights).sum() + OFFSET * fitted.offset.pow(2).mean()
        torch.autograd.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        rows.append(found.detach())
    last = torch.stack(rows[-len(examples) :]).mean(0).tolist()
    return dict(zip(("f0", "energy", "tempo"), (round(x, 4) for x in last), strict=True))


def distances(fitted: Fitted, example: Example) -> Tensor:
    """How far what is foretold is from a clip: log F0, log energy, log durations, [3]."""
    predictor = fitted.network.predictor
    manner = fitted.style(example.text.ids)[:, fitted.network.style_width :]
    known = example.prosody
    inner, frames = predictor.durations(example.text.prosodic, manner)
    f0, energy = predictor.contours(inner, known.frames, manner)
    voiced = known.f0 > VOICED_HZ
    # A clip may have no voiced frame, or nothing else: a mean of nothing is no number.
    pitch = torch.nan_to_num((_log(f0) - _log(known.f0)).abs()[voiced].mean())
    # Unvoiced frames are to stay below what sounds, voiced ones above.
    edges = torch.nan_to_num(functional.relu(f0[~voiced] - 5).mean()) * 0.002
    edges = edges + torch.nan_to_num(functional.relu(VOICED_HZ - f0[voiced]).mean()) * 0.005
    spoken = slice(1, -1)  # the silences at both ends are Kokoro's own
    tempo = frames[spoken].clamp(min=0.5).log() - known.frames[spoken].float().log()
    return torch.stack([pitch + edges, (energy - known.energy).abs().mean(), tempo.abs().mean()])


def fit_as_understood(run: Run, before: Row | None) -> Row:
    """Learn, and keep as much as leaves the words understood; returns what was kept.

    ``before`` is the validation of the voice as it is, None where nobody listened.
    """
    fitted, settings = run.fitted, run.settings
    if not settings.prosody_steps:
        return {"share": 0.0}
    start = fitted.state()
    told = fit(fitted, run.train, settings.prosody_steps, settings.seed, run.stop)
    if run.listener is None or run.trackers is None or before is None or "wer" not in before:
        return told | {"share": SHARES[0]}
    learnt = fitted.state()
    for number, share in enumerate(SHARES, 1):
        fitted.restore({name: torch.lerp(start[name], learnt[name], share) for name in start})
        row = run.listener.listen(
            run.say, settings.max_steps + number, run.checkpoints / "samples", run.trackers
        )
        logger.info("prosody, %.0f %% of it%s", 100 * share, heard(row))
        if row["wer"] <= before["wer"] + WER_SLACK and row["similarity"] >= before["similarity"]:
            return told | {"share": share} | row
    fitted.restore(start)
    return told | {"share": 0.0}


def _log(f0: Tensor) -> Tensor:
    return f0.clamp(min=30).log()
