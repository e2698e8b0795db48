"""From clips to a fitted voice that speaks; stopped runs go on as if nothing had been."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from micro_kokoro import clips, hum

from vc_core.dataset import DatasetClip
from vc_core.errors import InputError, StageError, TryAgainError
from vc_kokoro import prepared, weights
from vc_kokoro.family import KOKORO
from vc_kokoro.options import FAMILY, KokoroSpeaking, KokoroTraining
from vc_kokoro.training import loop, prosody
from vc_kokoro.voice import clauses
from vc_speech.tts import Request, TrainingJob

TRAINING = {
    **{"max_steps": 3, "batch_size": 2, "crop_seconds": 1.0, "lora_r": 4, "eval_every": 2},
    **{"samples": 0, "checkpoint_every": 1, "prosody_steps": 3, "processes": 1},
}


class Ears:
    """Stands in for the listener, whose judges find noise all the same."""

    wers = iter(())

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def listen(self, say: Any, *_: object) -> dict[str, float]:
        (said,) = say(["It rained."], [0])
        assert len(said.samples) > 1000
        assert said.stopped_by_itself
        return {"similarity": 0.5, "wer": next(self.wers, 0.0), "stop_rate": 1.0, "dnsmos": 3.0}


@pytest.fixture(scope="module")
def aligned(micro: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("aligned") / "prepared.parquet"
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.getbasetemp() / "kokoro-cache"
        patch.setattr("vc_core.models.cache_folder", lambda: root)
        figures = KOKORO.prepare(clips(), str(micro), path, "cpu")
    assert figures["clips"] == {"train": 5, "validation": 1, "test": 1}
    assert not figures["left_out"]
    yield path


def job(folder: Path, micro: Path, aligned: Path, **changes: object) -> TrainingJob:
    return TrainingJob(
        prepared=aligned,
        output=folder / "adapter",
        checkpoints=folder / "checkpoints",
        base_model=str(micro),
        device="cpu",
        voice="ada",
        consent="Ada, in writing",
        language="en",
        encoder="package:campplus",
        listener="package:whisper-base",
        training=KokoroTraining.model_validate(TRAINING | changes),
        again=[],
    )


def request(micro: Path, adapter: Path | str = "", stock: str = "") -> Request:
    how = KokoroSpeaking.model_validate({})
    return Request(str(micro), str(adapter), "cpu", None, "", how, "en", stock)


@pytest.fixture(scope="module")
def fitted(micro: Path, aligned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter's folder."""
    folder = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.getbasetemp() / "kokoro-cache"
        patch.setattr("vc_core.models.cache_folder", lambda: root)
        KOKORO.train(job(folder, micro, aligned))
    return folder / "adapter"


def test_clips_come_back_from_the_file_as_they_were_aligned(aligned: Path) -> None:
    found, info = prepared.read(aligned)
    assert [clip.split for clip in found] == ["train"] * 5 + ["validation", "test"]
    assert 130 < info.f0 < 180
    for clip in found:
        total = int(clip.aligned.prosody.frames.sum())
        assert len(clip.aligned.samples) == 600 * total
        assert clip.aligned.prosody.f0.shape == clip.aligned.prosody.energy.shape == (1, 2 * total)
        assert 3.0 < total / 40 < 4.5


def test_a_clip_that_does_not_say_its_text_is_left_out(micro: Path, tmp_path: Path) -> None:
    odd = DatasetClip("odd", "train", "No.", "ada", "en", hum(9.0, 150))
    figures = KOKORO.prepare([*clips(), odd], str(micro), tmp_path / "p.parquet", "cpu")
    assert figures["left_out"] == {"badly_aligned": 1}


def test_silence_is_left_out_and_alone_refused(micro: Path, tmp_path: Path) -> None:
    quiet = DatasetClip("quiet", "train", "No.", "ada", "en", np.zeros(48_000, np.float32))
    with pytest.raises(InputError, match="no clip fits it"):
        KOKORO.prepare([quiet], str(micro), tmp_path / "p.parquet", "cpu")
    assert not (tmp_path / "p.parquet").exists()


def test_a_language_without_phonemes_is_refused(micro: Path, tmp_path: Path) -> None:
    german = [DatasetClip("a", "train", "Guten Tag.", "ada", "de", hum(3.0, 150))]
    with pytest.raises(InputError, match="'de': Kokoro has no phonemes"):
        KOKORO.prepare(german, str(micro), tmp_path / "p.parquet", "cpu")


def test_ten_seconds_of_clips_are_too_little(micro: Path, tmp_path: Path) -> None:
    KOKORO.prepare(clips("tttv"), str(micro), tmp_path / "p.parquet", "cpu")
    with pytest.raises(InputError, match="s of clips to learn from are too little"):
        KOKORO.train(job(tmp_path, micro, tmp_path / "p.parquet"))
    assert not (tmp_path / "adapter").exists()


def test_the_adapters_folder_says_what_it_is(fitted: Path) -> None:
    assert {path.name for path in fitted.iterdir()} >= {
        *("README.md", "training.json", "training.jsonl", "checkpoints.tsv"),
        *("adapter_config.json", "adapter_model.safetensors"),
        *("voice.safetensors", "biases.safetensors"),
    }
    told = json.loads((fitted / "training.json").read_text("utf-8"))
    assert told["family"] == "kokoro"
    assert told["encoder"] == "package:campplus"
    assert sum(told["mixture"].values()) == pytest.approx(1)
    assert told["steps"] == 3
    card = (fitted / "README.md").read_text("utf-8")
    assert "Ada, in writing" in card
    assert "synthetic" in card
    rows = [json.loads(line) for line in (fitted / "training.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]
    assert not (fitted.parent / "checkpoints").exists()


def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    micro: Path, aligned: Path, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = loop.step

    def stopping(run: loop.Run) -> Any:
        if run.progress.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(run)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "step", stopping)
        with pytest.raises(TryAgainError, match=r"stopped by SIGTERM after step 2 of 3"):
            KOKORO.train(job(tmp_path, micro, aligned))
    assert not (tmp_path / "adapter").exists()
    KOKORO.train(job(tmp_path, micro, aligned))
    for name in ("adapter_model", "biases", "voice"):
        ours, theirs = (
            weights.load_file(folder / f"{name}.safetensors")
            for folder in (tmp_path / "adapter", fitted)
        )
        for key, value in theirs.items():
            torch.testing.assert_close(ours[key], value, msg=f"{name} {key}")


def test_two_processes_share_a_steps_pieces(micro: Path, aligned: Path, tmp_path: Path) -> None:
    """What two of a group sum is what one alone sums; here one plays both, one after the other."""
    sums: dict[tuple[int, int], Any] = {}

    def stop(run: loop.Run) -> Any:
        raise StageError("enough")

    with pytest.MonkeyPatch.context() as patch:

        def measured(run: loop.Run) -> Any:
            for rank, size in ((0, 1), (0, 2), (1, 2)):
                run.group.rank, run.group.size = rank, size
                patch.setattr(
                    run.group,
                    "sum",
                    lambda tensors, key=(rank, size): sums.update(
                        {key: [tensor.clone() for tensor in tensors]}
                    ),
                )
                patch.setattr(run.optimizer, "step", lambda: None)
                step(run)
            return stop(run)

        step = loop.step
        patch.setattr(loop, "step", measured)
        with pytest.raises(StageError, match="enough"):
            KOKORO.train(job(tmp_path, micro, aligned))
    for whole, first, second in zip(sums[0, 1], sums[0, 2], sums[1, 2], strict=True):
        torch.testing.assert_close(first + second, whole, atol=1e-5, rtol=1e-4)


def test_a_loss_that_is_no_number_ends_the_run(
    micro: Path, aligned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vc_kokoro.training.checks.run", lambda made: None)
    nothing = torch.tensor(float("nan"), requires_grad=True)
    monkeypatch.setattr(loop, "distances", lambda *_: (nothing, nothing.detach()))
    with pytest.raises(StageError, match="not a number 3 steps in a row"):
        KOKORO.train(job(tmp_path, micro, aligned))


@pytest.mark.parametrize(
    ("wers", "share"), [([0.0, 0.0, 0.0], 1.0), ([0.0, 0.0, 0.3, 0.0], 0.5), ([0, 0, 0.3, 0.2], 0)]
)
def test_prosody_is_taken_as_far_as_words_are_understood(
    micro: Path,
    aligned: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wers: list[float],
    share: float,
) -> None:
    monkeypatch.setattr("vc_kokoro.training.session.Listener", Ears)
    monkeypatch.setattr(Ears, "wers", iter(wers))
    figures = KOKORO.train(job(tmp_path, micro, aligned, samples=1, sample_every=2, max_steps=3))
    assert figures is not None
    assert figures["prosody"]["share"] == share
    assert figures["chosen_by"] == "score"


def test_what_prosody_learns_brings_pitch_and_tempo_nearer(micro: Path, aligned: Path) -> None:
    from vc_kokoro.training import crops
    from vc_kokoro.training.fitted import Fitted

    base = weights.load(str(micro))
    start = base.voices("en")["af_one"]
    fitted = Fitted(base, start, torch.ones(16), KokoroTraining.model_validate(TRAINING))
    train, _ = crops.examples(prepared.read(aligned)[0], fitted)
    with torch.no_grad():
        before = torch.stack([prosody.distances(fitted, one) for one in train]).mean(0)
    prosody.fit(fitted, train, 40, 0)
    with torch.no_grad():
        after = torch.stack([prosody.distances(fitted, one) for one in train]).mean(0)
    assert (after < before).all()


def test_the_fitted_voice_speaks_otherwise_than_the_stock_voices(micro: Path, fitted: Path) -> None:
    own, again = (
        KOKORO.load(request(micro, fitted)).speak(["It rained.", "So I left."], [3, 4])
        for _ in range(2)
    )
    for one, two in zip(own, again, strict=True):
        np.testing.assert_array_equal(one.samples, two.samples)
        assert one.samples.dtype == np.float32
        assert len(one.samples) == 600 * one.frames
    stock = KOKORO.load(request(micro, stock="af_two")).speak(["It rained."], [3])
    assert not np.array_equal(stock[0].samples, own[0].samples)


def test_every_variant_speaks_and_only_the_fitted_one_has_the_networks_change(
    micro: Path, fitted: Path
) -> None:
    spoken = {
        variant.name: voice.speak(["It rained."], [0])[0].samples
        for variant, voice in KOKORO.compared(request(micro, fitted, "am_three"), FAMILY.variants)
    }
    assert set(spoken) == {"stock", "mixture", "voice", "adapter"}
    pairs = [(one, two) for one in spoken for two in spoken if one < two]
    assert all(not np.array_equal(spoken[one], spoken[two]) for one, two in pairs)
    alone = KOKORO.load(request(micro, fitted)).speak(["It rained."], [0])[0].samples
    np.testing.assert_allclose(alone, spoken["adapter"], atol=1e-6)


def test_stock_voices_say_the_same_and_copies_last_as_long_as_their_clips(
    micro: Path, fitted: Path
) -> None:
    said = KOKORO.stock(request(micro))
    assert list(said) == ["af_one", "af_two", "am_three", "bf_four"]
    assert all(len(sounds) == 1 and len(sounds[0]) > 24_000 for sounds in said.values())
    held = [clip for clip in clips() if clip.split == "test"]
    (copy,) = KOKORO.copies(request(micro, fitted), held)
    assert 3.0 < len(copy) / 24_000 < 4.5


def test_a_stream_begins_with_the_first_clause(micro: Path, fitted: Path) -> None:
    text = "It rained for the whole of that week, and nobody came to the shop; so I read."
    assert clauses(text) == [
        "It rained for the whole of that week,",
        "and nobody came to the shop; so I read.",
    ]
    voice = KOKORO.load(request(micro, fitted))
    pieces = list(voice.stream(text, 0))
    assert len(pieces) == 2
    assert all(len(piece) > 2400 for piece in pieces)


def test_a_text_with_nothing_to_say_is_no_fault(micro: Path, fitted: Path) -> None:
    (said,) = KOKORO.load(request(micro, fitted)).speak(["…"], [0])
    assert np.isfinite(said.samples).all()


def test_speed_shortens_what_is_said(micro: Path, fitted: Path) -> None:
    lengths = []
    for speed in (1.0, 2.0):
        how = KokoroSpeaking.model_validate({"speed": speed})
        asked = Request(str(micro), str(fitted), "cpu", None, "", how, "en")
        lengths.append(
            len(KOKORO.load(asked).speak(["It rained for a whole week."], [0])[0].samples)
        )
    assert lengths[1] < 0.7 * lengths[0]


def test_a_stock_voice_that_is_not_there_is_refused(micro: Path) -> None:
    with pytest.raises(InputError, match="'af_nobody': no voice of this model; there are: af_one"):
        KOKORO.load(request(micro, stock="af_nobody"))


def test_merged_it_is_a_base_model_that_speaks_in_the_voice(
    micro: Path, fitted: Path, tmp_path: Path
) -> None:
    KOKORO.merge(fitted, "", tmp_path / "model", "float32")
    own = KOKORO.load(request(micro, fitted)).speak(["It rained."], [0])[0].samples
    merged = KOKORO.load(request(tmp_path / "model")).speak(["It rained."], [0])[0].samples
    np.testing.assert_allclose(merged, own, atol=1e-4)
    assert FAMILY.claims(str(tmp_path / "model"))


def test_other_clips_than_this_models_are_refused(
    micro: Path, aligned: Path, tmp_path: Path
) -> None:
    found, info = prepared.read(aligned)
    other = prepared.Info("another", "theirs", info.language, info.f0)
    prepared.write(tmp_path / "p.parquet", found, other)
    with pytest.raises(InputError, match=r"aligned by another base model .theirs."):
        KOKORO.train(job(tmp_path, micro, tmp_path / "p.parquet"))
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    with pytest.raises(InputError, match="not a file of aligned clips"):
        prepared.read(tmp_path / "junk.parquet")
