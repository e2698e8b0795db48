"""The tests marked gpu, by the test runner itself."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from gpu.bench import Bench

ROOT = Path(__file__).parents[2]


def measure(bench: Bench) -> None:
    """How many passed, failed and were skipped; a row for each that failed."""
    report = bench.folder / "tests.xml"
    marked = [
        path
        for path in sorted(ROOT.glob("*/*/tests/test_*.py"))
        if "mark.gpu" in path.read_text("utf-8")
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
    command += [f"--junit-xml={report}", *map(str, marked)]
    subprocess.run(command, cwd=ROOT, check=False)
    cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314 - our own report
    failed = [case for case in cases if _said(case, "failure", "error") is not None]
    skipped = [case for case in cases if _said(case, "skipped") is not None]
    passed = len(cases) - len(failed) - len(skipped)
    bench.row("tests", passed=passed, failed=len(failed), skipped=len(skipped))
    for case in failed:
        bench.open(f"{case.get('name')}", f"failed: {_said(case, 'failure', 'error')}")
    for case in skipped:
        bench.open(f"{case.get('name')}", f"skipped: {_said(case, 'skipped')}")


def _said(case: ElementTree.Element, *kinds: str) -> str | None:
    """What the report says of a case that ended in one of these ways; None for others."""
    for kind in kinds:
        found = case.find(kind)
        if found is not None:
            return found.get("message", "")
    return None
