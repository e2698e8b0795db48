"""Where a run is followed: TensorBoard files always, other trackers where they are set up."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vc_core import audio, log
from vc_core.audio import Samples

logger = log.get("train")

# Trackers that accelerate knows, and the variable that says each is wanted.
WANTED_BY = {
    "wandb": "WANDB_API_KEY",
    "mlflow": "MLFLOW_TRACKING_URI",
    "comet_ml": "COMET_API_KEY",
    "clearml": "CLEARML_API_ACCESS_KEY",
    "swanlab": "SWANLAB_API_KEY",
    "trackio": "TRACKIO_SPACE_ID",
    "aim": "AIM_REPO",
}


class Trackers:
    """Everything that follows one run."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, Any], step: int) -> None:
        """``folder`` takes the event files; what they hold from ``step`` on counts no more."""
        from torch.utils.tensorboard import SummaryWriter

        self._board: Any = SummaryWriter(str(folder), purge_step=step + 1 if step else None)
        started = [_start(tracker, name, settings, folder) for tracker in _wanted()]
        self._others = [tracker for tracker in started if tracker is not None]

    def row(self, row: Mapping[str, Any]) -> None:
        """Take a row of the run: its numbers by name."""
        numbers = {
            name: float(value)
            for name, value in row.items()
            if isinstance(value, int | float) and name not in ("step", "seconds", "skipped")
        }
        for name, value in numbers.items():
            self._board.add_scalar(name, value, row["step"])
        for tracker in self._others:
            tracker.log(numbers, step=row["step"])

    def sound(self, name: str, samples: Samples, step: int) -> None:
        """Take a sample of 24 kHz speech."""
        self._board.add_audio(name, samples[None], step, sample_rate=audio.TTS_RATE)

    def close(self) -> None:
        """Write what is not yet written."""
        self._board.close()
        for tracker in self._others:
            tracker.finish()


def _wanted() -> list[str]:
    """Trackers whose variable is set; those whose package is missing are named."""
    wanted = [tracker for tracker, variable in WANTED_BY.items() if os.environ.get(variable)]
    missing = [tracker for tracker in wanted if importlib.util.find_spec(tracker) is None]
    for tracker in missing:
        logger.warning(
            "%s is set, but %s is not installed; going on without it", WANTED_BY[tracker], tracker
        )
    return [tracker for tracker in wanted if tracker not in missing]


def _start(tracker: str, name: str, settings: Mapping[str, Any], folder: Path) -> Any:
    """One of accelerate's trackers, told the settings; None when it cannot be reached.

    A tracker in trouble is no reason not to train, so whatever it raises is only told.
    """
    from accelerate import PartialState
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS

    PartialState()
    kind = LOGGER_TYPE_TO_CLASS[tracker]
    where = {"logging_dir": str(folder)} if kind.requires_logging_directory else {}
    try:
        started: Any = kind(name, **where)
        started.start()
        started.store_init_configuration(dict(settings))
    except Exception as error:
        logger.warning("%s cannot be used (%s); going on without it", tracker, error)
        return None
    return started
