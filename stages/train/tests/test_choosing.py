"""What a run decides by itself: schedule, preset, steps."""

import pytest

from vc_csm.training import data, presets
from vc_csm.training.settings import Settings


def settings(**changes) -> Settings:
    given = dict.fromkeys(Settings.model_fields, 0)
    return Settings.model_construct(**(given | {"learning_rate": 1.0, "max_steps": 110} | changes))


@pytest.mark.parametrize(
    ("schedule", "half"), [("linear", 0.5), ("cosine", 0.5), ("constant", 1.0)]
)
def test_the_rate_warms_up_and_decays(schedule, half):
    made = settings(schedule=schedule, warmup_steps=10)
    assert [made.rate(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert made.rate(10) == pytest.approx(1.0)
    assert made.rate(60) == pytest.approx(half)
    assert made.rate(110) == pytest.approx(0.0 if half < 1 else 1.0)
    quarter = {"linear": 0.75, "cosine": 0.8536, "constant": 1.0}[schedule]
    assert made.rate(35) == pytest.approx(quarter, abs=1e-4)


def test_what_only_watches_does_not_change_the_fingerprint():
    assert settings().fingerprint() == settings(eval_every=7, samples=3).fingerprint()
    assert settings().fingerprint() != settings(lora_r=7).fingerprint()


@pytest.mark.parametrize(
    ("memory", "name"),
    [(4, "6gb"), (5.8, "6gb"), (11.6, "12gb"), (15.6, "12gb"), (23.6, "24gb"), (79, "80gb")],
)
def test_the_preset_is_the_largest_that_fits(memory, name):
    assert presets.choose("auto", memory).name == name


def test_a_preset_by_name_or_none():
    assert presets.choose("auto", None) is None
    assert presets.choose("none", 80) is None
    assert presets.choose("6gb", 80).gradient_checkpointing


def test_epochs_become_steps():
    assert data.epochs_to_steps(3, 40, 16) == 8
    assert data.epochs_to_steps(0.1, 4, 16) == 1
