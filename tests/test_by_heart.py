"""Training and synthesis together, by their commands: what was learnt by heart is spoken back."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from vc_csm import codes, csm, mimi
from vc_synthesize import cli as synthesize
from vc_train import cli as train

MICRO = Path(__file__).parents[1] / "models" / "csm-micro"
TEXTS = ("It began with a bicycle.", "Nobody wanted it.")
RATE = 24_000


def tone(seconds: float, hertz: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    glide = np.sin(2 * np.pi * hertz * time * (1 + 0.3 * np.sin(3 * time)))
    return (0.3 * glide * (0.6 + 0.4 * np.sin(9 * time))).astype(np.float32)


def run(main: Callable[[list[str]], int], *arguments: object) -> None:
    """A command, in this process: another would first import the same libraries again."""
    assert main([str(argument) for argument in arguments]) == 0


def test_two_clips_learnt_by_heart_are_spoken_back_sample_by_sample(tmp_path):
    """The adapter's greedy speech is the clips' own codes, and ends where they end."""
    codec = mimi.load(str(MICRO), "cpu")
    info = codes.CodecInfo(mimi.fingerprint(codec), 8, 64, 12.5, RATE, str(MICRO))
    clips = [
        codes.CodedClip(text, mimi.encode(codec, tone(1 + 0.4 * index, 150)), text, "train")
        for index, text in enumerate(TEXTS)
    ]
    codes.write(tmp_path / "codes.parquet", clips, info)
    # Sixty steps suffice; twice as many leave room for other machines.
    heart = ["--max-steps", 120, "--gradient-accumulation", 1, "--learning-rate", 1e-2]
    heart += ["--warmup-steps", 2, "--lora-r", 64, "--lora-alpha", 64, "--weight-decay", 0]
    heart += ["--depth-fraction", 1]
    adapter, speech = tmp_path / "adapter", tmp_path / "speech"
    run(train.main, tmp_path / "codes.parquet", "--base-model", MICRO, "-o", adapter, *heart)
    plain = ["--temperature", 0, "--no-trim", "--no-watermark"]
    run(synthesize.main, *TEXTS, "--base-model", MICRO, "--adapter", adapter, "-o", speech, *plain)

    rows = [json.loads(line) for line in (speech / "speech.jsonl").read_text().splitlines()]
    assert [row["stopped_by_itself"] for row in rows] == [True, True]
    for row, clip in zip(rows, clips, strict=True):
        assert row["frames"] == len(clip.codes)
        heard, rate = soundfile.read(speech / row["file"], dtype="int16")
        assert rate == RATE
        wanted = np.clip(mimi.decode(codec, clip.codes), -1, 1)
        np.testing.assert_allclose(heard, wanted * 32768, atol=2)
    told = json.loads((adapter / "training.json").read_text())
    assert told["letters_a_second"] > 5
    assert told["settings"]["targets"] == csm.LORA_TARGETS
