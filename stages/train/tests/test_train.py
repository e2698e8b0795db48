"""vc-train: a voice's codes in, an adapter out; stopped runs go on as if nothing had been."""

import json
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from vc_common import codes, csm, mimi, objective
from vc_train import adapter, data, loop
from vc_train.cli import main
from vc_train.settings import Settings

MICRO = Path(__file__).parents[3] / "models" / "csm-micro"
RATE = 24_000
TEXTS = ("It began with a bicycle.", "Nobody wanted it.", "So I took it home.", "Then it rained.")


def tone(seconds: float, hertz: float) -> np.ndarray:
    time_ = np.arange(round(seconds * RATE)) / RATE
    glide = np.sin(2 * np.pi * hertz * time_ * (1 + 0.3 * np.sin(3 * time_)))
    return (0.3 * glide * (0.6 + 0.4 * np.sin(9 * time_))).astype(np.float32)


@pytest.fixture
def base():
    return csm.load(str(MICRO), "cpu")


@pytest.fixture(scope="module")
def info():
    codec = mimi.load(str(MICRO), "cpu")
    return codes.CodecInfo(mimi.fingerprint(codec), 8, 64, 12.5, RATE, str(MICRO))


@pytest.fixture(scope="module")
def clips():
    """Four clips to train on, one to validate on, one that training must not see."""
    codec = mimi.load(str(MICRO), "cpu")
    splits = ("train", "train", "train", "train", "validation", "test")
    return [
        codes.CodedClip(
            TEXTS[index % 4],
            mimi.encode(codec, tone(0.9 + 0.3 * index, 150 + 40 * index)),
            f"clip-{index}",
            split,
        )
        for index, split in enumerate(splits)
    ]


@pytest.fixture
def coded(tmp_path, clips, info):
    codes.write(tmp_path / "codes.parquet", clips, info)
    return tmp_path / "codes.parquet"


def settings(**changes) -> Settings:
    given = {
        "base_model": str(MICRO),
        **dict.fromkeys(("base_weights", "codes"), ""),
        **{"max_steps": 4, "batch_size": 2, "gradient_accumulation": 2, "learning_rate": 1e-3},
        **{"warmup_steps": 0, "weight_decay": 0.0, "max_grad_norm": 1e9, "lora_r": 4},
        **{"lora_alpha": 4, "lora_dropout": 0.0, "depth_fraction": 1.0, "max_seconds": 10.0},
        **{"precision": "fp32", "seed": 0, "eval_every": 1, "checkpoint_every": 1, "log_every": 1},
    }
    return Settings(**(given | changes))


def command(coded: Path, output: Path, *more: str) -> list[str]:
    fast = ["--batch-size", "2", "--gradient-accumulation", "2", "--warmup-steps", "2"]
    fast += ["--learning-rate", "3e-3", "--lora-r", "8", "--eval-every", "4"]
    return [str(coded), "--base-model", str(MICRO), "-o", str(output), *fast, *more]


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]


def test_codes_give_the_loss_of_the_waveform(base):
    """What the model computes itself from sound is what we compute from stored codes."""
    for text, samples in zip(TEXTS, (tone(1.3, 200), tone(2.01, 90)), strict=False):
        content = [{"type": "text", "text": text}, {"type": "audio"}]
        prompt = base.processor.apply_chat_template([{"role": "0", "content": content}])
        inputs = base.processor(text=prompt, audio=[samples], output_labels=True)
        heard = base.model(**inputs)

        stored = csm.Utterance(text, mimi.encode(base.model.codec_model, samples))
        backbone, depth = objective.losses(base, objective.make_batch(base, [stored]))

        assert backbone.item() == pytest.approx(heard.backbone_loss.item(), abs=1e-6)
        assert depth.item() == pytest.approx(heard.depth_decoder_loss.item(), abs=1e-6)


def test_padding_changes_no_loss(base, clips):
    together = objective.make_batch(base, clips[:2])
    alone = [objective.make_batch(base, [clip]) for clip in clips[:2]]
    counts = [objective.targets(batch)[0] for batch in alone]
    for index in range(2):
        parts = [objective.losses(base, batch)[index].item() for batch in alone]
        mean = np.average(parts, weights=counts)
        assert objective.losses(base, together)[index].item() == pytest.approx(mean, abs=1e-5)


def test_accumulation_is_one_large_batch(clips):
    weights = []
    for cut in ([clips[:4]], [[clip] for clip in clips[:4]]):
        chosen = settings(learning_rate=1.0, max_steps=10)
        model = adapter.lay_over(csm.load(str(MICRO), "cpu"), chosen)
        trained = [weight for weight in model.model.parameters() if weight.requires_grad]
        plain = torch.optim.SGD(trained, lr=1.0)
        row = loop.take_step(model, plain, cut, chosen, 0, stop=loop.Stop())
        weights.append((row["loss"], torch.cat([weight.detach().flatten() for weight in trained])))
    (one, together), (other, apart) = weights
    assert one == pytest.approx(other, abs=1e-5)
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=0)


def test_lora_is_never_in_the_codec(base):
    model = adapter.lay_over(base, settings()).model
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert trained
    assert all("lora_" in name and "codec_model" not in name for name in trained)
    for part in ("backbone_model", "depth_decoder"):
        wanted = {f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}
        assert {name.split(".")[-4] for name in trained if part in name} == wanted


def test_trains_to_an_adapter_that_plain_peft_loads(coded, tmp_path, clips):
    from peft import PeftModel
    from transformers import CsmForConditionalGeneration

    output = tmp_path / "adapter"
    card = ("--voice", "ada", "--consent", "Ada, in writing")
    assert main([*command(coded, output, "--max-steps", "12"), *card]) == 0

    base = CsmForConditionalGeneration.from_pretrained(MICRO)
    model = PeftModel.from_pretrained(base, output).eval()
    whole = csm.Csm(model, csm.load_processor(str(MICRO)), str(MICRO))
    batch = objective.make_batch(whole, [clips[4]])
    with torch.no_grad():
        voice = sum(objective.losses(whole, batch)).item()
        with model.disable_adapter():
            off = sum(objective.losses(whole, batch)).item()
    record = json.loads((output / "training.json").read_text())
    told = record["val_loss"]
    # Without the adapter it is the base; with it, what training reported for it.
    assert off == pytest.approx(told["first"], abs=1e-5)
    assert voice == pytest.approx(told["best"], abs=1e-5)
    assert told["best"] < told["first"]

    logged = rows(output)
    assert [row["step"] for row in logged] == list(range(13))
    assert [row["step"] for row in logged if "val_loss" in row] == [0, 4, 8, 12]
    assert record["clips"] == {"train": 4, "validation": 1, "too_long": 0}
    assert record["settings"]["learning_rate"] == 3e-3
    assert "Ada, in writing" in (output / "README.md").read_text()
    config = json.loads((output / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(MICRO)
    assert not (tmp_path / "adapter.checkpoints").exists()


def test_learns_two_clips_by_heart_and_their_ends(tmp_path, clips, info):
    """Greedy generation gives back every code of the clips, and stops where they do."""
    codes.write(tmp_path / "two.parquet", clips[:2], info)
    output = tmp_path / "adapter"
    heart = ["--max-steps", "250", "--gradient-accumulation", "1", "--learning-rate", "1e-2"]
    heart += ["--lora-r", "64", "--lora-alpha", "64", "--weight-decay", "0"]
    assert main([*command(tmp_path / "two.parquet", output), *heart]) == 0

    model = csm.load(str(MICRO), "cpu", adapter=str(output))
    for clip in clips[:2]:
        said = csm.speak(model, clip.text, temperature=0)
        assert said.stopped_by_itself
        np.testing.assert_array_equal(said.codes, clip.codes)


def test_a_stopped_run_goes_on_as_if_nothing_had_been(coded, tmp_path):
    steps = ("--max-steps", "24", "--checkpoint-every", "2", "--depth-fraction", "0.5")
    steps += ("--lora-dropout", "0.1")
    assert main(command(coded, tmp_path / "whole", *steps)) == 0

    broken = tmp_path / "broken"
    run = "import sys; from vc_train.cli import main; sys.exit(main())"
    # Held back a little at every step, so that the signals come in the middle.
    slow = "import time, vc_train.loop as l; step = l.take_step\n"
    slow += "l.take_step = lambda *a, **k: (time.sleep(0.05), step(*a, **k))[1]\n" + run
    for sent, code in ((signal.SIGTERM, 75), (signal.SIGKILL, -9)):
        before = set(tmp_path.glob("broken.checkpoints/*/step-*"))
        process = subprocess.Popen(
            [sys.executable, "-c", slow, *command(coded, broken, *steps)], stderr=subprocess.PIPE
        )
        patience = time.monotonic() + 120
        while set(tmp_path.glob("broken.checkpoints/*/step-*")) <= before:
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < patience
            time.sleep(0.02)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == code
        assert not broken.exists()
        if code == 75:
            assert b"stopped by SIGTERM after step" in errors
    assert main(command(coded, broken, *steps)) == 0

    kept = ("loss", "backbone_loss", "depth_loss", "gradient_norm", "val_loss")
    for whole, resumed in zip(rows(tmp_path / "whole"), rows(broken), strict=True):
        assert {name: whole.get(name) for name in kept} == {
            name: resumed.get(name) for name in kept
        }
    weights = [folder / "adapter_model.safetensors" for folder in (tmp_path / "whole", broken)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    assert not (tmp_path / "broken.checkpoints").exists()


def test_other_settings_start_anew_beside_the_old_checkpoint(coded, tmp_path, capsys):
    old = tmp_path / "adapter.checkpoints" / "0123456789ab" / "step-000007"
    old.mkdir(parents=True)
    assert main(command(coded, tmp_path / "adapter", "--max-steps", "1")) == 0
    assert "checkpoints of other settings; starting anew" in capsys.readouterr().err
    assert old.is_dir()
    assert [row["step"] for row in rows(tmp_path / "adapter")] == [0, 1]


def test_without_validation_the_last_step_is_kept(tmp_path, clips, info, capsys):
    codes.write(tmp_path / "codes.parquet", clips[:4], info)
    output = tmp_path / "adapter"
    assert main(command(tmp_path / "codes.parquet", output, "--max-steps", "2")) == 0
    assert "no validation clips" in capsys.readouterr().err
    assert json.loads((output / "training.json").read_text())["kept_step"] == 2
    assert "not measured" in (output / "README.md").read_text()


def test_every_clip_once_an_epoch_with_neighbours_in_length():
    draw = np.random.default_rng(0)
    made = [
        codes.CodedClip("", np.zeros((int(length), 8), dtype=np.int16), str(index), "train")
        for index, length in enumerate(draw.integers(12, 125, size=41))
    ]
    order = data.batches(made, 4, seed=1)
    first, second = list(islice(order, 11)), list(islice(order, 11))
    for epoch in (first, second):
        assert sorted(int(clip.clip) for batch in epoch for clip in batch) == list(range(41))
        lengths = [[len(clip.codes) for clip in batch] for batch in epoch]
        assert np.mean([max(batch) - min(batch) for batch in lengths]) < 15

    def names(batches):
        return [[clip.clip for clip in batch] for batch in batches]

    assert names(first) != names(second)
    assert names(islice(data.batches(made, 4, seed=1), 11)) == names(first)


def test_depth_frames_are_a_share_drawn_anew_and_never_none(clips):
    draw = torch.Generator().manual_seed(0)
    frames = sum(len(clip.codes) for clip in clips[:2])
    first, second = (data.depth_frames(clips[:2], 0.25, draw) for _ in range(2))
    assert first.sum() == second.sum() == round(0.25 * frames)
    assert not torch.equal(first, second)
    assert data.depth_frames(clips[:2], 1e-6, draw).sum() == 1
    assert data.depth_frames(clips[:2], 1.0, draw) is None


def test_left_out_frames_count_for_the_backbone_only(base, clips):
    kept = torch.zeros(len(clips[0].codes), dtype=torch.bool)
    kept[3] = True
    batch = objective.make_batch(base, clips[:1], kept)
    # The closing frame of zeros is always learnt by both.
    assert objective.targets(batch) == (len(clips[0].codes) + 1, 2)


def test_clips_over_the_limits_are_counted(base, info):
    def clip(seconds, text="Short."):
        frames = np.ones((round(seconds * 12.5), 8), dtype=np.int16)
        return codes.CodedClip(text, frames, "c", "train")

    chosen = data.select([clip(9.9), clip(10.4), clip(2, "long " * 500)], info, base, 10.0)
    assert (len(chosen.train), chosen.too_long) == (1, 2)


@pytest.mark.parametrize("case", ["missing", "not codes", "other codec", "no train", "no base"])
def test_unusable_input_is_one_line_and_no_folder(case, tmp_path, clips, info, capsys):
    given, more, complaint = tmp_path / "codes.parquet", [], ""
    codes.write(given, clips, info)
    if case == "missing":
        given, complaint = tmp_path / "none.parquet", "none.parquet: no such file"
    elif case == "not codes":
        given.write_text("not parquet")
        complaint = "not a file of codes"
    elif case == "other codec":
        other = codes.CodecInfo("0" * 16, 8, 64, 12.5, RATE, "another/csm")
        codes.write(given, clips, other)
        complaint = "codes are those of another codec"
    elif case == "no train":
        codes.write(given, clips[4:], info)
        complaint = "no clip to train on"
    else:
        more, complaint = ["--base-model", "./no-model"], "'./no-model': no such folder"
    output = tmp_path / "out" / "adapter"
    assert main(command(given, output, "--max-steps", "1", *more)) == 3
    errors = [line for line in capsys.readouterr().err.splitlines() if "ERROR" in line]
    assert len(errors) == 1
    assert complaint in errors[0]
    assert not list(tmp_path.glob("out/*"))
    assert not list(tmp_path.glob("out/.partial*"))


def test_a_loss_that_is_no_number_ends_the_run(coded, tmp_path, capsys):
    wild = ("--max-steps", "20", "--learning-rate", "1e30", "--max-grad-norm", "1e30")
    assert main(command(coded, tmp_path / "out" / "adapter", *wild)) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if "ERROR" in line]
    assert len(errors) == 1
    assert "lower --learning-rate" in errors[0]
    assert not (tmp_path / "out" / "adapter").exists()


@pytest.mark.parametrize("option", ["--max-steps=0", "--learning-rate=-1", "--lora-dropout=2"])
def test_impossible_settings_are_usage_errors(option, coded, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        main(command(coded, tmp_path / "adapter", option))


def test_help_needs_no_engine():
    code = "import sys, vc_train.cli as c; c.build_parser(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
