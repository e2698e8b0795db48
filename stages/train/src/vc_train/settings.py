"""What a training run depends on, and nothing else."""

import dataclasses
import hashlib
import json
import math

# Settings that say how often to look, not what is learnt: a run resumes across changes of them.
_WATCHING = {"eval_every", "checkpoint_every", "log_every"}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Every resolved setting of a run.

    ``base_weights`` and ``codes`` are fingerprints of the model and of the file of codes.
    ``precision`` is fp32 or bf16. ``depth_fraction`` is the share of frames, drawn anew at every
    step, that the depth decoder learns from. ``max_seconds`` is the longest clip taken.
    """

    base_model: str
    base_weights: str
    codes: str
    max_steps: int
    batch_size: int
    gradient_accumulation: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    max_grad_norm: float
    lora_r: int
    lora_alpha: int
    lora_dropout: float
    depth_fraction: float
    max_seconds: float
    precision: str
    seed: int
    eval_every: int
    checkpoint_every: int
    log_every: int

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits, equal for runs that learn the same."""
        mattering = {
            name: value for name, value in dataclasses.asdict(self).items() if name not in _WATCHING
        }
        written = json.dumps(mattering, sort_keys=True)
        return hashlib.sha256(written.encode()).hexdigest()[:12]

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0: linear warm-up, then half a cosine to zero."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        left = max(1, self.max_steps - self.warmup_steps)
        return (
            self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - self.warmup_steps) / left))
        )

    def seed_of(self, step: int) -> int:
        """Every step draws from a seed of its own, so that resuming needs no random state."""
        return self.seed * 1_000_003 + step
