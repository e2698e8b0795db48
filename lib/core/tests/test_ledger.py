"""The ledger accounts for every second, whatever is laid on it."""

import random
import time

import pytest

from vc_core import ledger, manifests
from vc_core.manifests import LedgerRow


def silence(duration: float) -> list[LedgerRow]:
    return [LedgerRow(0.0, duration, False, "silence")]


def test_laying_rows_cuts_what_lies_beneath() -> None:
    rows = ledger.tile(silence(10.0), [LedgerRow(2.0, 5.0, True, clip="c")])
    assert [(r.start, r.end, r.kept) for r in rows] == [
        (0.0, 2.0, False),
        (2.0, 5.0, True),
        (5.0, 10.0, False),
    ]
    ledger.check(rows, 10.0)
    assert ledger.seconds_by_reason(rows) == {"silence": 7.0, "kept": 3.0}


def test_random_layings_always_tile() -> None:
    chance = random.Random(0)
    for _ in range(50):
        rows = silence(100.0)
        edges = sorted(chance.uniform(0, 100) for _ in range(20))
        laid = [
            LedgerRow(a, b, False, chance.choice(["music", "overlap"]))
            for a, b in zip(edges[::2], edges[1::2], strict=True)
        ]
        rows = ledger.tile(rows, laid)
        ledger.check(rows, 100.0)
        assert sum(ledger.seconds_by_reason(rows).values()) == pytest.approx(100.0, abs=0.01)


@pytest.mark.serial
def test_rows_of_three_hours_are_laid_in_a_moment() -> None:
    base = [
        LedgerRow(n * 0.5, n * 0.5 + 0.5, False, ("silence", "music")[n % 2]) for n in range(21_600)
    ]
    laid = [LedgerRow(n + 0.1, n + 0.9, True, clip=f"c{n}") for n in range(10_800)]
    started = time.process_time()
    rows = ledger.tile(base, reversed(laid))
    assert time.process_time() - started < 2.0
    ledger.check(rows, 10_800.0)
    assert ledger.seconds_by_reason(rows)["kept"] == pytest.approx(8_640, abs=0.1)


def test_rows_that_overlap_each_other_or_the_end_are_refused() -> None:
    for laid in (
        [LedgerRow(1, 3, False, "music"), LedgerRow(2, 4, False, "overlap")],
        [LedgerRow(11, 12, False, "music")],
    ):
        with pytest.raises(ValueError, match="overlaps another, or the end"):
            ledger.tile(silence(10.0), laid)


def test_figures_keep_rows_apart() -> None:
    laid = [
        LedgerRow(1, 2, False, "low_quality", "a", {"dnsmos": 1.5}),
        LedgerRow(2, 3, False, "low_quality", "b", {"dnsmos": 1.7}),
    ]
    assert ledger.tile(silence(10.0), laid)[1:3] == laid


@pytest.mark.parametrize(
    "rows",
    [
        [LedgerRow(0, 1, False, "silence"), LedgerRow(2, 3, False, "music")],
        [LedgerRow(0, 2, False, "silence"), LedgerRow(1, 3, False, "music")],
        [LedgerRow(0, 2, False, "silence")],
    ],
    ids=["gap", "overlap", "short"],
)
def test_gaps_overlaps_and_a_short_end_are_found(rows: list[LedgerRow]) -> None:
    with pytest.raises(ValueError, match="ledger"):
        ledger.check(rows, 3.0)


def test_rows_survive_the_file(tmp_path) -> None:
    path = tmp_path / "ledger.jsonl"
    rows = [LedgerRow(0.0, 1.5, True, clip="ü-1"), LedgerRow(1.5, 2.0, False, "overlap")]
    manifests.write_rows(path, rows)
    assert manifests.read_rows(path, LedgerRow) == rows


def test_a_bad_row_is_named_by_file_and_line(tmp_path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text('{"start": 0, "end": 1, "kept": true}\n{"begin": 0}\n')
    with pytest.raises(ValueError, match=r"ledger\.jsonl:2: not a LedgerRow"):
        manifests.read_rows(path, LedgerRow)
