"""The small separator's training script, at toy size: it learns, goes on, and saves what loads."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch

from vc_common import audio, errors, files

MODELS = Path(__file__).parents[1] / "models"
RATE = 44_100
STEPS = 6

# A chord with a beat, and an echo: enough to be told from speech.
MUSIC = """
import numpy as np

def render(seconds, seed, rate):
    time = np.arange(round(seconds * rate)) / rate
    root = 110 * 2 ** (seed % 12 / 12)
    chord = sum(np.sin(2 * np.pi * root * note * time) for note in (1, 1.25, 1.5, 2, 3))
    chord = chord * np.exp(-3 * (time % 0.5))
    return np.stack([chord, 0.5 * chord]).astype(np.float32)

def reverb(samples, seed, rate):
    delay = 100 + seed % 400
    echo = np.zeros_like(samples)
    echo[..., delay:] = samples[..., :-delay]
    return samples + 0.3 * echo
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module, with a model small enough for seconds."""
    spec = importlib.util.spec_from_file_location(
        "train_separator", MODELS / "demucs-small" / "train_demucs.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.SHAPE = {"channels": 8, "nfft": 2048, "t_layers": 1, "t_heads": 2, "segment": 1}
    module.SEGMENT, module.WARM_UP = 1, 2
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory, interview) -> Path:
    """Two clips of the shipped interview, one of them held out, and a maker of music."""
    folder = tmp_path_factory.mktemp("speech")
    samples, rate = audio.read(interview, 48_000)
    rows = []
    for number, (split, start) in enumerate((("train", 30), ("held", 45))):
        file = f"{number}.wav"
        audio.write(folder / file, samples[start * rate : (start + 6) * rate], rate)
        rows.append({"file": file, "speaker": "host", "seconds": 6.0, "split": split})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "music.py").write_text(MUSIC)
    return folder


def run(script: ModuleType, data: Path, output: Path, stop: int = STEPS) -> list[dict]:
    """Train, as if the minutes were over at step ``stop``; returns the log's rows so far."""
    work = output / "work"
    told = {
        "--checkpoint": work / "checkpoint.pt",
        "--music": data / "music.py",
        "--steps": STEPS,
        "--batch": 2,
        "--music-hours": 0.003,
        "--rooms": 2,
        "--held-mixes": 2,
        "--log-every": 1,
        "--workers": 1,
    }
    options = [str(part) for pair in told.items() for part in pair]
    args = script.build_parser().parse_args([str(data), "-o", str(output), *options])
    learn = script.learn

    def until(run, stems, steps):
        if run.step + 1 >= stop:
            args.minutes = 0
        return learn(run, stems, steps)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "learn", until)
        script.train(args)
    return [json.loads(line) for line in (work / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(script, data, tmp_path_factory) -> tuple[Path, list[dict]]:
    """What one call of all steps leaves: its folder, its log."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(script, data, folder)


def losses_of(rows: list[dict]) -> list[float]:
    return [row["loss"] for row in rows if "loss" in row]


def test_the_loss_falls(script, tmp_path):
    noise = torch.Generator().manual_seed(0)
    stems = 0.5 * torch.randn(2, 2, 2, RATE // 2, generator=noise)
    stems[:, 0] *= torch.linspace(0, 1, RATE // 2)
    stems[:, 1, 1] = stems[:, 1, 0]
    run = script.start("cpu", tmp_path / "none.pt")
    losses = [float(script.learn(run, stems, 100)) for _ in range(12)]
    assert losses[-1] < 0.9 * losses[0]
    assert run.step == 12


def test_every_step_is_logged_and_the_held_out_mixes_are_measured(trained):
    _, rows = trained
    assert len(losses_of(rows)) == STEPS
    assert [row["step"] for row in rows if "si_sdr_gain" in row] == [STEPS]


def test_a_run_in_two_calls_is_the_run_in_one(trained, script, data, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "PART", 200_000)
    run(script, data, tmp_path, stop=STEPS // 2)
    parts = list((tmp_path / "work").glob("checkpoint.pt*"))
    assert len(parts) > 1
    assert max(part.stat().st_size for part in parts) <= script.PART
    rows = run(script, data, tmp_path)
    assert losses_of(rows) == losses_of(trained[1])


def test_a_seed_decides_a_batch_whose_stems_are_what_the_recipe_says(script):
    noise = torch.Generator().manual_seed(0)
    speech = torch.randint(-9000, 9000, (2 * RATE,), generator=noise, dtype=torch.int16)
    music = torch.randint(-9000, 9000, (2, 2 * RATE), generator=noise, dtype=torch.int16)
    pool = script.Pool(speech, music, torch.zeros(0, 2, 1))
    mixer = script.Mixer(pool, script.HELD, 0.5)
    stems = mixer.batch(3, seed=7)
    assert stems.shape == (3, 2, 2, RATE // 2)
    assert torch.equal(stems, mixer.batch(3, seed=7))
    assert not torch.equal(stems, mixer.batch(3, seed=8))
    power = stems.square().mean((2, 3))
    torch.testing.assert_close(power[:, 0], power[:, 1])

    alone = script.Mixer(pool, script.Recipe(alone=0.5, noise=0), 0.5).batch(16, seed=7)
    silent = alone.abs().amax((2, 3)) == 0
    assert bool((silent.sum(1) == 1).all())
    assert bool(silent.any(0).all())


def test_demucs_and_the_stage_load_what_was_saved(trained, tmp_path):
    folder, _ = trained
    time = np.arange(round(1.7 * RATE)) / RATE
    wave = 0.3 * np.sin(2 * np.pi * 220 * time).astype(np.float32)
    audio.write(tmp_path / "mix.wav", np.stack([wave, wave], axis=1), RATE)

    from vc_separate import cli

    output = tmp_path / "vocals.flac"
    command = [str(tmp_path / "mix.wav"), "-o", str(output), "--model", str(folder)]
    assert cli.main([*command, "--device", "cpu"]) == errors.OK
    found = soundfile.info(output)
    assert (found.samplerate, found.channels, found.frames) == (RATE, 1, len(wave))
    assert files.read_json(tmp_path / "vocals.flac.run.json")["figures"]["frames"] == len(wave)

    command = [sys.executable, "-m", "demucs", "--repo", str(folder), "-n", "small", "-d", "cpu"]
    command += ["--two-stems", "vocals", "-o", str(tmp_path / "out"), str(tmp_path / "mix.wav")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    for stem in ("vocals", "no_vocals"):
        made = soundfile.info(tmp_path / "out" / "small" / "mix" / f"{stem}.wav")
        assert (made.samplerate, made.channels, made.frames) == (RATE, 2, len(wave))
