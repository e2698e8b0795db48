"""What a run tells and leaves while it goes on: trackers, checkpoints, record, memory, time."""

import json
import math
import os
import signal
from dataclasses import dataclass

import pytest
import torch

from vc_speech.training import checkpoint, record, resources, rows, trackers
from vc_speech.training.checkpoint import Progress
from vc_speech.training.stop import Stop


def test_a_tracker_that_is_set_up_gets_the_rows(tmp_path, monkeypatch, caplog):
    import accelerate.tracking

    told = []

    class Tracker:
        requires_logging_directory = False

        def __init__(self, name):
            told.append(name)

        def start(self): ...

        def finish(self): ...

        def store_init_configuration(self, values):
            told.append(values["lora_r"])

        def log(self, values, step):
            told.append((step, "loss" in values))

    monkeypatch.setitem(accelerate.tracking.LOGGER_TYPE_TO_CLASS, "wandb", Tracker)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "wandb" or None)
    monkeypatch.setenv("WANDB_API_KEY", "set")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "set")
    tracked = trackers.Trackers(tmp_path, "ada", {"lora_r": 8}, 0)
    tracked.row({"step": 3, "loss": 1.5, "seconds": 2.0})
    tracked.close()
    assert told == ["ada", 8, (3, True)]
    assert "mlflow is not installed" in caplog.text


@dataclass
class Counted(Progress):
    budget: int = 0


def test_a_checkpoint_gives_back_what_it_was_given(tmp_path) -> None:
    progress = Counted(step=3, seconds=1.5, rows=[{"step": 0, "val_loss": 2.0}, {"step": 3}])
    progress.budget = 7
    learnt = {"weight": torch.arange(4.0)}
    assert checkpoint.newest(tmp_path) is None
    for step in (2, 3):
        progress.step = step
        assert checkpoint.save(tmp_path, progress, learnt, {"optimizer": {"lr": 0.5}})
    place = checkpoint.newest(tmp_path)
    assert [place] == list(tmp_path.glob("step-*"))
    told, adapter, states = checkpoint.restore(place, "cpu", Counted)
    assert told == progress
    assert told.validations == progress.rows[:1]
    assert torch.equal(adapter["weight"], learnt["weight"])
    assert states == {"optimizer": {"lr": 0.5}}


def test_of_what_may_be_chosen_only_the_eligible_are_kept(tmp_path) -> None:
    run = tmp_path / "checkpoints" / "run"
    for step, eligible in ((0, {0}), (1, {0, 1}), (2, {1})):
        checkpoint.keep(run, step, {"weight": torch.full((2,), float(step))}, eligible)
    assert [checkpoint.stored(run, step) is None for step in range(3)] == [True, False, True]
    assert checkpoint.stored(run, 1)["weight"].tolist() == [1.0, 1.0]
    checkpoint.discard(run)
    assert not run.parent.exists()


def test_the_record_has_rows_table_and_samples(tmp_path) -> None:
    checkpoints, folder = tmp_path / "checkpoints", tmp_path / "adapter"
    (checkpoints / "samples" / "step-000002").mkdir(parents=True)
    folder.mkdir()
    logged = [{"step": 1, "loss": 3.0}, {"step": 2, "val_loss": 2.0, "similarity": 0.5}]
    record.write_record(folder, {"kept_step": 2}, logged, checkpoints)
    assert json.loads((folder / "training.json").read_text()) == {"kept_step": 2}
    told = (folder / "training.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in told] == logged
    head, line = (folder / "checkpoints.tsv").read_text().splitlines()
    assert head.split("\t") == [*record.COLUMNS, "kept"]
    assert line.split("\t") == ["2", "2.0000", "0.5000", "", "", "", "yes"]
    assert (folder / "samples" / "step-000002").is_dir()
    assert not (folder / "tensorboard").exists()
    assert record.table(logged, 2).splitlines()[2] == "| 2 | 2.0000 | 0.5000 |  |  |  | yes |"
    assert record.table(logged[:1], 1) == "No validation clips: the last step was kept."


def test_what_json_cannot_say_is_none() -> None:
    row = {"step": 1, "loss": math.nan, "norm": math.inf, "rate": 0.1}
    assert rows.finite(row) == {"step": 1, "loss": None, "norm": None, "rate": 0.1}


@pytest.mark.parametrize(("seconds", "said"), [(89, "89 s"), (600, "10 min"), (9000, "2.5 h")])
def test_time_as_people_say_it(seconds, said) -> None:
    assert resources.span(seconds) == said


def test_memory_that_does_not_suffice_is_told_from_other_trouble() -> None:
    assert resources.out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert resources.out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not resources.out_of_memory(RuntimeError("shapes do not match"))


def test_sigterm_asks_within_the_block_alone() -> None:
    stop, before = Stop(), signal.getsignal(signal.SIGTERM)
    with stop.listening():
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGTERM)
    assert stop.asked
    assert signal.getsignal(signal.SIGTERM) == before
