"""Files are whole or not there."""

from pathlib import Path

import pytest

from vc_core import files
from vc_core.errors import InputError


def test_atomic_keeps_the_suffix_and_renames_on_success(tmp_path: Path) -> None:
    with files.atomic(tmp_path / "a" / "x.flac") as partial:
        assert partial.suffix == ".flac"
        assert partial.parent == tmp_path / "a"
        partial.write_text("whole")
    assert (tmp_path / "a" / "x.flac").read_text() == "whole"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.flac"]


def test_a_failure_leaves_what_was_there_before(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    target.write_text("old")
    with pytest.raises(KeyError), files.atomic(target) as partial:
        partial.write_text("half")
        raise KeyError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_folders_replace_whole_folders(tmp_path: Path) -> None:
    target = tmp_path / "clips"
    target.mkdir()
    (target / "stale").write_text("")
    with files.atomic_folder(target) as partial:
        (partial / "fresh").write_text("")
    assert [p.name for p in target.iterdir()] == ["fresh"]
    with pytest.raises(KeyError), files.atomic_folder(target) as partial:
        (partial / "half").write_text("")
        raise KeyError
    assert [p.name for p in target.iterdir()] == ["fresh"]
    assert [p.name for p in tmp_path.iterdir()] == ["clips"]


def test_json_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{half")
    with pytest.raises(InputError, match=r"x\.json: not valid JSON"):
        files.read_json(tmp_path / "x.json")
    with pytest.raises(InputError, match="no such file"):
        files.read_json(tmp_path / "y.json")
