"""The ledger accounts for every second, whatever is laid on it."""

import random

import pytest

from vc_common import ledger, manifests
from vc_common.manifests import LedgerRow


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
