"""What a training run depends on, and nothing else."""

import dataclasses
import hashlib
import json
import math

# Settings that say how often to look and how to compute, not what is learnt: a run resumes
# across changes of them.
_NOT_LEARNT = {
    *("eval_every", "checkpoint_every", "log_every", "samples", "sample_every"),
    *("gradient_checkpointing", "compile"),
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Every resolved setting of a run.

    ``base_weights`` and ``codes`` are fingerprints of the model and of the file of codes.
    ``backend`` is peft or unsloth; ``precision`` fp32, bf16 or fp16; ``quantize`` none, 8bit or
    4bit, of the base's weights; ``optimizer`` adamw or adamw8bit. ``batch_size`` times
    ``gradient_accumulation`` clips make a step, however they are cut into batches.
    ``depth_fraction`` is the share of frames, drawn anew at every step, that the depth decoder
    learns from. ``max_seconds`` is the longest clip taken. ``patience`` is in validations, 0 for
    endless.
    """

    base_model: str
    base_weights: str
    codes: str
    backend: str
    precision: str
    quantize: str
    optimizer: str
    max_steps: int
    batch_size: int
    gradient_accumulation: int
    learning_rate: float
    schedule: str
    warmup_steps: int
    weight_decay: float
    max_grad_norm: float
    lora_r: int
    lora_alpha: int
    lora_dropout: float
    targets: str
    depth_fraction: float
    max_seconds: float
    patience: int
    seed: int
    eval_every: int
    samples: int
    sample_every: int
    checkpoint_every: int
    log_every: int
    gradient_checkpointing: bool
    compile: bool

    @property
    def clips_a_step(self) -> int:
        """Clips that one optimizer step learns from."""
        return self.batch_size * self.gradient_accumulation

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits, equal for runs that learn the same."""
        mattering = {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if name not in _NOT_LEARNT
        }
        written = json.dumps(mattering, sort_keys=True)
        return hashlib.sha256(written.encode()).hexdigest()[:12]

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0: linear warm-up, then the schedule's decay."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        gone = (step - self.warmup_steps) / max(1, self.max_steps - self.warmup_steps)
        if self.schedule == "linear":
            return self.learning_rate * (1 - gone)
        if self.schedule == "cosine":
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * gone))
        return self.learning_rate

    def seed_of(self, step: int) -> int:
        """Every step draws from a seed of its own, so that resuming needs no random state."""
        return self.seed * 1_000_003 + step
