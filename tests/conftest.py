"""Lets the tests here import ``stubs`` beside them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module", autouse=True)
def without_coverage_of_jobs() -> Iterator[None]:
    """Leave the jobs of workflows unmeasured: it takes as long again, and the tests of the stages
    measure the same lines."""
    hidden = {name: os.environ.pop(name, None) for name in list(os.environ) if "COVERAGE_" in name}
    yield
    os.environ.update({name: value for name, value in hidden.items() if value is not None})


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """What a test puts into the environment, as making a plan does, is gone after it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
