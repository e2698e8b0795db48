"""What tests of all stages share: speech of people and of machines, and a small tone file."""

import os
from pathlib import Path

import pytest

SPEECH = Path(__file__).parent.parent / "shared" / "speech"
EXAMPLES = Path(__file__).parent / "examples"

# Tests of these files take minutes. Begun first, the others fill the time beside them.
LONGEST = (
    "tests/test_example.py",
    "stages/train/tests/test_train.py",
    "stages/reference/tests/test_reference.py",
    "tests/test_gpu_bench.py",
    "tests/test_workflow.py",
    "tests/test_plugins.py",
    "stages/evaluate/tests/test_evaluate.py",
    "stages/separate/tests/test_separate.py",
    "lib/csm/tests/test_fused.py",
    "lib/csm/tests/test_decoder.py",
    "stages/transcribe/tests/test_transcribe.py",
    "tests/test_downloads.py",
)

# One thread. Libraries read it when they are loaded, which nothing here has done yet: models of
# tests are so small that more threads wait longer than they work, and workers wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order files by how long they take; within a file the order stays."""
    rank = {config.rootpath / path: number for number, path in enumerate(LONGEST)}
    items.sort(key=lambda item: (rank.get(item.path, len(rank)), str(item.path)))


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of recordings of people, or of machines where those of people are not at hand.

    Those of people are no part of the project. ``kathleen/flac24k`` has sentences of one voice,
    ``kathleen/metadata.csv`` their texts (``name|text``), ``librispeech`` has one recording each of
    other voices. VOICE_CLONE_TEST_SPEECH names another such folder, or ``machines``.
    """
    given = os.environ.get("VOICE_CLONE_TEST_SPEECH", str(SPEECH))
    if Path(given).is_dir():
        return Path(given)
    import synthetic_speech

    return synthetic_speech.write(tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="session")
def interview() -> Path:
    """The shipped recording of two synthetic voices."""
    return EXAMPLES / "interview.opus"


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Two seconds of a 440 Hz tone, stereo, 44.1 kHz."""
    import numpy as np

    from vc_core import audio

    path = tmp_path / "tone.wav"
    time = np.arange(2 * 44_100) / 44_100
    wave = 0.3 * np.sin(2 * np.pi * 440 * time).astype(np.float32)
    audio.write(path, np.stack([wave, wave], axis=1), 44_100)
    return path
