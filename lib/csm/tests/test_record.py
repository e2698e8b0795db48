"""What training.json says of who chose the checkpoint."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vc_csm import codes, mimi
from vc_csm.family import CSM
from vc_csm.options import CsmTraining
from vc_csm.training import session
from vc_speech.tts import TrainingJob

MICRO = Path(__file__).parents[3] / "models" / "csm-micro"
EARS = "package:campplus"


class Ears:
    """Stands in for the listener."""

    def __init__(self, *_: object, **named: str) -> None:
        assert named["encoder"] == EARS

    def listen(self, *_: object) -> dict[str, float]:
        return {"similarity": 0.5, "wer": 0.0, "stop_rate": 1.0, "dnsmos": 3.0}


@pytest.mark.parametrize(
    ("splits", "samples", "encoder", "chosen_by"),
    [
        (("train", "validation"), 1, EARS, "score"),
        (("train", "validation"), 0, "", "validation loss"),
        (("train", "train"), 1, "", "validation loss"),
    ],
)
def test_the_encoder_that_chose_the_checkpoint_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    splits: tuple[str, ...],
    samples: int,
    encoder: str,
    chosen_by: str,
) -> None:
    monkeypatch.setattr(session, "CsmListener", Ears)
    fingerprint = mimi.fingerprint(mimi.load(str(MICRO), "cpu"))
    info = codes.CodecInfo(fingerprint, 8, 64, 12.5, 24_000, str(MICRO))
    draw = np.random.default_rng(0)
    clips = [
        codes.CodedClip("Say it.", draw.integers(1, 64, (12, 8)).astype(np.int16), name, split)
        for name, split in zip("ab", splits, strict=True)
    ]
    codes.write(tmp_path / "codes.parquet", clips, info)
    given: dict[str, Any] = {"max_steps": 1, "samples": samples, "self_test": False, "lora_r": 2}
    job = TrainingJob(
        prepared=tmp_path / "codes.parquet",
        output=tmp_path / "adapter",
        checkpoints=tmp_path / "checkpoints",
        base_model=str(MICRO),
        device="cpu",
        voice="ada",
        consent="Ada, written",
        language="en",
        encoder=EARS,
        listener="package:whisper-base",
        training=CsmTraining.model_validate(given),
        again=[],
    )
    assert CSM.train(job)
    told = json.loads((tmp_path / "adapter" / "training.json").read_text())
    assert (told["encoder"], told["chosen_by"]) == (encoder, chosen_by)
