"""What a training run depends on, and nothing else."""

import math

from vc_csm.options import CsmTraining
from vc_speech.training import identity

# Beside the options that are incidental: how often to look, in what to compute and how much at
# once, not what is learnt. A run resumes across changes of them.
_NOT_LEARNT = ("eval_every", "samples", "sample_every", "epochs", "preset", "processes")


class Settings(CsmTraining):
    """The options of a run as they were resolved: nothing is on auto, epochs are steps.

    ``base_weights`` and ``codes`` are fingerprints of the model and of the file of codes.
    ``batch_size`` times ``gradient_accumulation`` clips make a step, however they are cut into
    batches.
    """

    base_model: str
    base_weights: str
    codes: str

    @property
    def clips_a_step(self) -> int:
        """Clips that one optimizer step learns from."""
        return self.batch_size * self.gradient_accumulation

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits, equal for runs that learn the same."""
        return identity.fingerprint(self, _NOT_LEARNT)

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
