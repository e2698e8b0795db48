"""What people say of clips is found again, or said to be lost."""

import logging
from pathlib import Path

import pytest

from vc_core.errors import InputError
from vc_curate import corrections


def table(folder: Path, *rows: str, header: str = "clip\ttext\tkeep") -> Path:
    path = folder / "corrections.tsv"
    path.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return path


def test_a_table_is_read(tmp_path: Path) -> None:
    rows = corrections.read(
        table(
            tmp_path,
            "talk-1-00001000\tSaid  “so”.\t",
            "",
            "talk-1-00002000\t\tNo",
            "b-00000001\t\tyes",
        )
    )
    assert [(r.source, r.start, r.text, r.keep) for r in rows] == [
        ("talk-1", 1.0, "Said “so”.", None),
        ("talk-1", 2.0, "", False),
        ("b", 0.001, "", True),
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("a-00001000\tText.\tmaybe", ":2: keep is 'maybe'; write yes, no or nothing"),
        ("something\tText.\t", ":2: 'something' is no clip"),
        ("a-00001000\tText.\tno\tmore", ":2: has 4 cells, the table 3 columns"),
        ("a-00001000\t\tno\na-00001000\t\tyes", ":3: clip 'a-00001000' is there twice"),
    ],
)
def test_a_bad_row_is_told_with_its_line(tmp_path: Path, row: str, told: str) -> None:
    with pytest.raises(InputError, match=r"corrections\.tsv") as caught:
        corrections.read(table(tmp_path, row))
    assert told in str(caught.value)


def test_a_table_without_its_header_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the first line must be"):
        corrections.read(table(tmp_path, header="a-00001000\tText.\t"))


def test_clips_are_matched_by_name_then_by_the_nearest_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = corrections.read(
        table(
            tmp_path,
            "s-00001000\tExact.\t",
            "s-00005200\tMoved.\t",
            "s-00030000\tGone.\t",
            "other-00001000\tElsewhere.\t",
        )
    )
    with caplog.at_level(logging.WARNING):
        found = corrections.match(rows, "s", [1.0, 5.0, 5.3, 9.0])
    assert {number: row.text for number, row in found.items()} == {0: "Exact.", 2: "Moved."}
    assert "s-00030000 matches no clip" in caplog.text
    assert "other" not in caplog.text
