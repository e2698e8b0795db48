"""What a run depends on, and nothing else."""

from __future__ import annotations

from vc_kokoro.options import KokoroTraining
from vc_speech.training import identity

_NOT_LEARNT = ("eval_every", "samples", "sample_every", "epochs", "processes")
LAST_RATE = 0.15  # of the first


class Settings(KokoroTraining):
    """The options of a run as they were resolved: nothing is on auto, epochs are steps.

    ``base_weights`` and ``clips`` are fingerprints of the model and of the file of aligned clips;
    ``encoder`` names the speaker encoder that the start was chosen by.
    """

    base_model: str
    base_weights: str
    encoder: str
    clips: str

    @property
    def crops_a_step(self) -> int:
        """Pieces of clips that one step learns from."""
        return self.batch_size * self.gradient_accumulation

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits, equal for runs that learn the same."""
        return identity.fingerprint(self, _NOT_LEARNT)

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0: linear warm-up, linear decay."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        return self.learning_rate * warm * (1 - (1 - LAST_RATE) * step / self.max_steps)

    def seed_of(self, step: int) -> int:
        """Every step draws from a seed of its own, so that resuming needs no random state."""
        return self.seed * 1_000_003 + step
