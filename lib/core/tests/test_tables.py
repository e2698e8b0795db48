"""Tables that people fill in: columns by name, rows with their places, faults by file and line."""

from pathlib import Path

import pytest

from vc_core import tables
from vc_core.errors import InputError

COLUMNS = ("text", "id", "seed")


def cells(path: Path, **more: object) -> list[dict[str, str]]:
    return [row.cells for row in tables.read(path, COLUMNS, ("text",), **more)]  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".tsv", ".csv"])
def test_columns_go_by_name_in_any_order_and_case(tmp_path: Path, suffix: str) -> None:
    mark = "," if suffix == ".csv" else "\t"
    rows = [("ID", "Text"), (" a ", " Hello. "), ("", ""), ("", "Bye.")]
    path = tmp_path / f"a{suffix}"
    path.write_text("\ufeff" + "".join(mark.join(row) + "\r\n" for row in rows), "utf-8")
    assert cells(path) == [
        {"text": "Hello.", "id": "a", "seed": ""},
        {"text": "Bye.", "id": "", "seed": ""},
    ]
    assert [row.place for row in tables.read(path, COLUMNS)] == [f"{path}:2", f"{path}:4"]


def test_quotes_are_those_of_commas_only(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,id\n"Hello, ""you""\nthere.",a\nBye.,b\n')
    told = tables.read(tmp_path / "a.csv", COLUMNS)
    assert [row.cells["text"] for row in told] == ['Hello, "you"\nthere.', "Bye."]
    assert told[1].place.endswith("a.csv:4")
    (tmp_path / "a.tsv").write_text('text\tid\n"Hello\ta\n')
    assert cells(tmp_path / "a.tsv")[0]["text"] == '"Hello'


def test_comments_other_columns_and_a_missing_header_where_they_are_allowed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("# of a list\nHello.\ta\n\t# x\nBye.\n")
    assert cells(path, comments=True, headless=("text", "id")) == [
        {"text": "Hello.", "id": "a", "seed": ""},
        {"text": "Bye.", "id": "", "seed": ""},
    ]
    path.write_text("text\tmood\n#1\tglad\n")
    assert cells(path, others=True) == [{"text": "#1", "id": "", "seed": ""}]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.tsv", b"text\tmood\n", ":1: 'mood' is no column; there are: text, id, seed"),
        ("a.tsv", b"\nid\n", ":2: the header has no column 'text'"),
        ("a.tsv", b"", ":1: the header has no column 'text'"),
        ("a.tsv", b"text\tText\n", ":1: column 'text' is there twice"),
        ("a.tsv", b"text\tid\n\na\tb\tc\n", ":3: has 3 cells, the table 2 columns (text, id)"),
        ("a.csv", b"text,id\nOh, well,one\n", ":2: has 3 cells, the table 2 columns (text, id)"),
        ("a.csv", b'text\n"a"b\n', ":2: cannot be read as CSV"),
        ("a.tsv", b"\xff\xfe", ": is not UTF-8 text; save it as that"),
        ("a.tsv", None, ": cannot be read (No such file or directory)"),
    ],
)
def test_a_fault_is_told_with_file_and_line(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        cells(path)
    assert str(caught.value).startswith(f"{path}{told}")


def test_a_table_that_a_key_of_the_configuration_names_is_told_by_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("id\n")
    with pytest.raises(InputError, match=rf"^texts_file {path}, line 1: the header has no column"):
        cells(path, key="texts_file")
    with pytest.raises(InputError, match=rf"^texts_file {tmp_path}: cannot be read"):
        cells(tmp_path, key="texts_file")
