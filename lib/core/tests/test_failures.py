"""What stages gave up on, from their records and from the file of a run."""

from pathlib import Path

import pytest

from vc_core import errors, failures, files, records


def test_records_beside_outputs_are_read_by_source_and_by_voice(tmp_path: Path) -> None:
    work, results = tmp_path / "work", tmp_path / "results"
    vocals = work / "ada" / "talk" / "vocals.flac"
    details = {"reason": "silent", "mend": "take it out"}
    records.write_failure("vc-separate", vocals, errors.BAD_INPUT, "nobody speaks", details)
    records.write_failure("vc-curate", results / "ada" / "clips" / "talk", 3, "no clips")
    records.write_failure("vc-reference", results / "ada" / "reference" / "reference.wav", 75, "?")
    urls = {"talk": "https://e.org/talk", "other": None}
    first, second = failures.of_sources(work, results, "ada", urls)
    assert (first.stage, first.reason, first.mend) == ("separate", "silent", "take it out")
    assert (first.where, first.url, first.passing) == ("ada/talk", "https://e.org/talk", False)
    assert first.record == f"{vocals}.failed.json"
    assert second.stage == "curate"
    (whole,) = failures.of_voice(results, "ada")
    assert (whole.where, whole.source, whole.passing) == ("ada", None, True)


def test_a_record_that_cannot_be_read_is_a_failure_all_the_same(tmp_path: Path) -> None:
    for content in ("{", "[]", "{}", '{"exit_code": "many"}'):
        path = tmp_path / "x.failed.json"
        path.write_text(content)
        found = failures.read(path, "ada", "talk")
        assert (found.stage, found.exit_code) == ("unknown", errors.FAILED)
        assert found.message == f"{path}: cannot be read; delete it and run again"


def test_what_a_run_wrote_down_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.failed.json"
    files.write_json(path, {"stage": "download", "exit_code": 75, "message": "m", "retry_at": 9.5})
    found = [failures.read(path, "ada", "talk", "u"), failures.read(path, "bob")]
    failures.write(tmp_path / "failures.json", found)
    assert failures.written(tmp_path / "failures.json") == found


@pytest.mark.parametrize("content", ["{", "[]", '{"failures": [{}]}', '{"failures": 3}'])
def test_a_file_of_failures_that_cannot_be_used_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "failures.json"
    path.write_text(content)
    with pytest.raises(errors.InputError, match=r"failures\.json: "):
        failures.written(path)
