"""What tests of all stages share: real speech where it is at hand, and small tone files."""

from pathlib import Path

import numpy as np
import pytest

from vc_core import audio

SPEECH = Path(__file__).parent.parent / "shared" / "speech"
EXAMPLES = Path(__file__).parent / "examples"


@pytest.fixture(scope="session")
def speech() -> Path:
    """Folder of real recordings that are not part of the project."""
    if not SPEECH.is_dir():
        pytest.skip("needs ../shared/speech")
    return SPEECH


@pytest.fixture(scope="session")
def interview() -> Path:
    """The shipped recording of two synthetic voices."""
    return EXAMPLES / "interview.opus"


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Two seconds of a 440 Hz tone, stereo, 44.1 kHz."""
    path = tmp_path / "tone.wav"
    time = np.arange(2 * 44_100) / 44_100
    wave = 0.3 * np.sin(2 * np.pi * 440 * time).astype(np.float32)
    audio.write(path, np.stack([wave, wave], axis=1), 44_100)
    return path
