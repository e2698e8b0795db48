"""Which checkpoint a run takes, and when it ends early."""

from vc_speech.training import choice


def row(step: int, loss: float, similarity: float | None = None, wer=0.1, stops=1.0) -> dict:
    told = {"step": step, "val_loss": loss}
    if similarity is not None:
        told |= {"similarity": similarity, "wer": wer, "stop_rate": stops}
    return told


def test_without_samples_the_lowest_loss_is_taken():
    rows = [row(0, 9.0), row(10, 7.0), row(20, 8.0)]
    assert choice.chosen(rows)["step"] == 10
    assert [good["step"] for good in choice.eligible(rows)] == [10]
    assert choice.chosen([]) is None


def test_similarity_decides_among_those_that_are_understood_and_end():
    base = row(0, 9.0, similarity=0.99, wer=0.0)
    muffled = row(40, 6.0, similarity=0.95, wer=0.5)
    endless = row(30, 6.0, similarity=0.9, wer=0.1, stops=0.5)
    good = row(20, 7.0, similarity=0.8, wer=0.12)
    early = row(10, 8.0, similarity=0.7, wer=0.1)
    unheard = row(25, 1.0)
    rows = [base, early, good, unheard, endless, muffled]
    assert choice.chosen(rows) is good
    # Only those can still be chosen later that are understood well enough.
    assert [may["step"] for may in choice.eligible(rows)] == [10, 20, 30]


def test_equal_similarity_falls_to_the_lower_loss():
    rows = [row(10, 8.0, similarity=0.5), row(20, 7.0, similarity=0.5)]
    assert choice.chosen(rows)["step"] == 20


def test_what_may_be_chosen_later_is_never_thrown_away():
    """However the rows go on, the one chosen in the end was eligible ever since it came."""
    import random

    draw = random.Random(0)
    for _ in range(300):
        rows = []
        alive: set[int] = set()
        for step in range(10, 90, 10):
            figures = [draw.choice([0.0, 0.04, 0.1, 0.3]), draw.choice([0.5, 0.9, 1.0])]
            rows.append(row(step, draw.random(), draw.random(), *figures))
            eligible = {good["step"] for good in choice.eligible(rows)}
            alive = {old for old in alive | {step} if old in eligible}
            assert choice.chosen(rows)["step"] in alive


def test_stale_counts_validations_that_brought_nothing():
    rows = [row(0, 9.0)]
    assert choice.stale(rows) == 0
    rows += [row(10, 8.0), row(20, 8.5), row(30, 8.4)]
    assert choice.stale(rows) == 2
    rows.append(row(40, 8.6, similarity=0.5))
    assert choice.stale(rows) == 0, "the first that was listened to"
    rows += [row(50, 8.7, similarity=0.6), row(60, 8.8, similarity=0.55)]
    assert choice.stale(rows) == 1
    assert choice.stale([]) == 0
