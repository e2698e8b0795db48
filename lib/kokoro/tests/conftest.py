"""The tiny Kokoro that these tests fit, and a cache of its own."""

from pathlib import Path

import micro_kokoro
import pytest


@pytest.fixture(scope="session")
def micro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    return micro_kokoro.made(tmp_path_factory.mktemp("kokoro") / "micro")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the micro model's voices say is kept apart from the real one's, for all tests."""
    root = tmp_path_factory.getbasetemp() / "kokoro-cache"
    monkeypatch.setattr("vc_core.models.cache_folder", lambda: root)
