"""The measurements on a GPU, rehearsed on a CPU: the same code, made small."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gpu import runner, table

ROOT = Path(__file__).parent.parent


def figures(section: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Rows by name, those that are open left out."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in section["rows"]:
        if "open" not in row:
            rows.setdefault(row["name"], []).append(row)
    return rows


def test_every_section_measures_on_a_cpu_what_it_would_on_a_gpu(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(ROOT / "benchmarks/gpu/run", "--scale", "toy", "--device", "cpu", "-o", tmp_path),
            *("--sections", *runner.SECTIONS),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "PYTHON": sys.executable},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    sections = results["sections"]
    assert list(sections) == list(runner.SECTIONS)
    assert {found["state"] for found in sections.values()} == {"done"}
    # What fails leaves an open row; on a CPU these are open, and no others.
    opened = [row["name"] for found in sections.values() for row in found["rows"] if "open" in row]
    skipped = [name for name in opened if name.startswith("test_")]
    assert sorted(set(opened) - set(skipped)) == ["memory caps", "unsloth"]
    assert figures(sections["tests"])["tests"][0]["failed"] == 0
    assert figures(sections["tests"])["tests"][0]["skipped"] == len(skipped) >= 9

    training = figures(sections["training"])
    assert training.keys() == {table.OURS, table.COMPILED, table.PLAIN, table.RECIPE}
    assert [row["depth"] for row in training[table.COMPILED]] == [1.0, 0.25]
    assert all(row["of matrix rate"] > 0 for rows in training.values() for row in rows)
    speech = figures(sections["speech"])
    for name in (table.SPEECH, table.EAGER, table.STATIC):
        assert [row["texts"] for row in speech[name]] == [1, 2]
        assert all(row["frames/s"] > 0 for row in speech[name])
    assert [row["name"] for row in sections["presets"]["rows"][1:]] == [
        "80gb",
        "24gb",
        "12gb",
        "6gb",
    ]
    text = (tmp_path / "table.md").read_text()
    assert "| training, times the public recipe | at least 3 |" in text
    assert text in done.stdout


def test_a_section_that_takes_too_long_leaves_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_section.py").write_text(
        "import time\n"
        "def measure(bench):\n"
        "    bench.row('before', value=1)\n"
        "    with bench.attempt('broken'):\n"
        "        raise ValueError('no such thing')\n"
        "    time.sleep(600)\n"
    )
    (tmp_path / "failing_section.py").write_text("def measure(bench):\n    raise ValueError\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{ROOT / 'benchmarks'}")
    made = {
        "slow": runner.Section("slow_section", "Slow", 10),
        "failing": runner.Section("failing_section", "Failing", 60),
    }
    monkeypatch.setattr(runner, "SECTIONS", made)
    args = argparse.Namespace(
        sections=list(made), scale="toy", device="cpu", minutes=5.0, output=tmp_path / "out"
    )
    sections = runner.run(args)["sections"]
    assert sections["slow"]["state"] == "cut off after 10 s"
    assert sections["slow"]["rows"] == [
        {"name": "before", "value": 1},
        {"name": "broken", "open": "ValueError: no such thing"},
    ]
    assert sections["failing"]["state"] == "failed with 1; see failing.log"
    assert "ValueError" in (tmp_path / "out" / "failing.log").read_text()
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["sections"] == sections
    args.minutes = 0.0
    assert runner.run(args)["sections"]["slow"]["state"] == "no time was left"


def test_goals_are_read_from_the_rows() -> None:
    rows = [
        {"name": table.OURS, "depth": 0.0625, "frames/s": 900.0, "of matrix rate": 0.1},
        {"name": table.OURS, "depth": 1.0, "frames/s": 300.0, "of matrix rate": 0.3},
        {"name": table.COMPILED, "depth": 1, "frames/s": 400.0, "of matrix rate": 0.45},
        {"name": table.RECIPE, "depth": 1, "frames/s": 100.0},
        {"name": table.PLAIN, "open": "failed"},
    ]
    spoken = [
        {"name": table.SPEECH, "texts": 32, "frames/s": 999.0},
        {"name": table.SPEECH, "texts": 1, "frames/s": 100.0, "real-time factor": 0.2},
        {"name": table.EAGER, "texts": 1, "frames/s": 50.0},
    ]
    found = table.goals({"training": {"rows": rows}, "speech": {"rows": spoken}})
    assert [(goal.value, goal.shown.split("|")[-2].strip()) for goal in found] == [
        (4.0, "yes"),
        (None, ""),
        (0.45, "yes"),
        (2.0, "no"),
        (None, ""),
        (0.2, "no"),
    ]
