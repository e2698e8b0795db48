"""vc-train: a voice's codes in, an adapter out; stopped runs go on as if nothing had been."""

import json
import shutil
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from vc_core.errors import InputError, StageError
from vc_csm import codes, csm, mimi, objective
from vc_csm.training import data, fused, loop, session
from vc_csm.training.settings import Settings
from vc_speech import label
from vc_speech.training import choice, parallel
from vc_speech.training.stop import Stop
from vc_train.cli import main

MICRO = Path(__file__).parents[3] / "models" / "csm-micro"
RATE = 24_000
COMPILES = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="torch.compile needs a C++ compiler"
)
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
        **{"backend": "peft", "quantize": "none", "optimizer": "adamw", "schedule": "cosine"},
        **{"targets": csm.LORA_TARGETS, "patience": 0, "samples": 0, "sample_every": 1},
        **{"gradient_checkpointing": "off", "compile": "off"},
        **{"max_steps": 4, "batch_size": 2, "gradient_accumulation": 2, "learning_rate": 1e-3},
        **{"warmup_steps": 0, "weight_decay": 0.0, "max_grad_norm": 1e9, "lora_r": 4},
        **{"lora_alpha": 4, "lora_dropout": 0.0, "depth_fraction": 1.0, "max_seconds": 10.0},
        **{"precision": "fp32", "seed": 0, "eval_every": 1, "checkpoint_every": 1, "log_every": 1},
    }
    return Settings(**(given | changes))


def command(coded: Path, output: Path, *more: str) -> list[str]:
    fast = ["--batch-size", "2", "--gradient-accumulation", "2", "--warmup-steps", "2"]
    fast += ["--learning-rate", "3e-3", "--lora-r", "8", "--eval-every", "4", "--samples", "0"]
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
        backbone, depth = objective.mean_losses(base, objective.make_batch(base, [stored]))

        assert backbone.item() == pytest.approx(heard.backbone_loss.item(), abs=1e-6)
        assert depth.item() == pytest.approx(heard.depth_decoder_loss.item(), abs=1e-6)


@pytest.mark.parametrize("frames", [1, 7, 8, 9, 33])
def test_any_number_of_frames_gives_the_losses_of_the_model_itself(frames, base):
    """As many as there are codebooks, too, at which transformers' own mask fails."""
    made = np.random.default_rng(0).integers(1, 64, (frames, 8)).astype(np.int16)
    said = csm.Utterance("Any text.", made)
    backbone, depth = objective.mean_losses(base, objective.make_batch(base, [said]))
    ids = torch.from_numpy(csm.prompt(base.processor, [], said.text, frames))[None]
    labels = torch.cat([torch.from_numpy(made.astype(np.int64)), torch.zeros(1, 8).long()])
    config = base.model.config
    heard = (ids == config.audio_token_id) | (ids == config.audio_eos_token_id)
    with torch.no_grad():
        inputs = base.model.embed_text_tokens(ids)
        inputs[heard] = base.model.backbone_model.embed_tokens(labels[:, None])[:, 0]
        hidden = base.model.backbone_model(inputs_embeds=inputs).last_hidden_state[0, :-1]
    logits, labels = base.model.lm_head(hidden[heard[0, 1:]]), labels[:, 0]
    wanted = torch.nn.functional.cross_entropy(logits, labels)
    assert backbone.item() == pytest.approx(wanted.item(), abs=1e-5)
    assert torch.isfinite(depth)


def test_padding_changes_no_loss(base, clips):
    together = objective.losses(base, objective.make_batch(base, clips[:2]))
    alone = [objective.losses(base, objective.make_batch(base, [clip])) for clip in clips[:2]]
    for index in range(2):
        apart = sum(parts[index].item() for parts in alone)
        assert together[index].item() == pytest.approx(apart, rel=1e-6)


def clips_of(model, clips) -> data.Clips:
    examples = [data.Example(clip, csm.positions(model.processor, clip)) for clip in clips]
    return data.Clips(examples, [], 0, 12.5)


def run_of(chosen: Settings, clips, budget: int = 10_000) -> loop.Run:
    """A run of plain gradient descent, so that a step's weights tell its gradient."""
    model = laid_over(chosen)
    return loop.Run(
        **{"model": model, "clips": clips_of(model, clips), "settings": chosen},
        optimizer=torch.optim.SGD(loop.trained(model), lr=1.0),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        **{"group": parallel.Group("cpu"), "checkpoints": Path("none"), "stop": Stop()},
        progress=loop.CsmProgress(budget=budget),
    )


def weights_of(run: loop.Run) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in loop.trained(run.model)])


def laid_over(chosen: Settings):
    return session.lay_over(csm.load(str(MICRO), "cpu"), chosen)


@pytest.mark.parametrize("fraction", [1.0, 0.25])
def test_eight_batches_of_two_are_one_batch_of_sixteen(fraction, clips):
    """However a step is cut into batches, its loss and its gradient are the same."""
    found = []
    for budget in (10_000, 180, 1):
        chosen = settings(gradient_accumulation=8, depth_fraction=fraction, learning_rate=1.0)
        run = run_of(chosen, [clips[index % 4] for index in range(16)], budget)
        row = loop.step(run, range(16))
        found.append((row["loss"], row["frames"], weights_of(run)))
    for loss, frames, weights in found[1:]:
        assert loss == pytest.approx(found[0][0], abs=1e-5)
        assert frames == found[0][1] == sum(len(clip.codes) + 1 for clip in clips[:4]) * 4
        torch.testing.assert_close(weights, found[0][2], atol=1e-5, rtol=0)


def test_lora_is_never_in_the_codec():
    model = laid_over(settings()).model
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
        voice = sum(objective.mean_losses(whole, batch)).item()
        with model.disable_adapter():
            off = sum(objective.mean_losses(whole, batch)).item()
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


def test_a_stopped_run_goes_on_as_if_nothing_had_been(coded, tmp_path):
    steps = ("--max-steps", "24", "--checkpoint-every", "2", "--depth-fraction", "0.5")
    steps += ("--lora-dropout", "0.1")
    assert main(command(coded, tmp_path / "whole", *steps)) == 0

    broken = tmp_path / "broken"
    run = "import sys; from vc_train.cli import main; sys.exit(main())"
    # Held back a little at every step, so that the signals come in the middle.
    slow = "import time, vc_csm.training.loop as l; step = l.step\n"
    slow += "l.step = lambda *a, **k: (time.sleep(0.05), step(*a, **k))[1]\n" + run
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


def examples(count: int) -> list[data.Example]:
    lengths = np.random.default_rng(0).integers(12, 125, size=count)
    made = [
        codes.CodedClip("", np.ones((int(length), 8), dtype=np.int16), str(index), "train")
        for index, length in enumerate(lengths)
    ]
    return [data.Example(clip, len(clip.codes) + 10) for clip in made]


def test_every_clip_once_an_epoch_and_a_resumed_run_finds_its_place():
    made = examples(40)
    order = list(islice(data.steps(made, 8, seed=1), 10))
    for epoch in (order[:5], order[5:]):
        assert sorted(index for step in epoch for index in step) == list(range(40))
    assert order[:5] != order[5:]
    assert list(islice(data.steps(made, 8, seed=1, first=7), 3)) == order[7:]
    assert order != list(islice(data.steps(made, 8, seed=2), 10))


def test_batches_stay_within_the_budget_and_are_hardly_padded():
    drawn = [data.Drawn(example, None) for example in examples(160)]
    budget = 16 * 135
    packed = data.pack(drawn, budget)
    assert sorted(item.example.clip.clip for batch in packed for item in batch) == sorted(
        item.example.clip.clip for item in drawn
    )
    taken = [len(batch) * max(item.example.positions for item in batch) for batch in packed]
    assert max(taken) <= budget
    real = sum(item.example.positions for item in drawn)
    assert sum(taken) < 1.15 * real
    # Clips of full length beside clips as they come would be padded to ten seconds.
    assert len(drawn) * 135 > 1.6 * real
    assert [len(batch) for batch in data.pack(drawn[:3], 1)] == [1, 1, 1]


def test_depth_frames_are_a_share_drawn_anew_and_never_none(clips):
    made = [data.Example(clip, 0) for clip in clips[:2]]
    generator = torch.Generator().manual_seed(0)
    first, second = (data.draw(made, [0, 1], 0.25, generator) for _ in range(2))
    for one, other, clip in zip(first, second, clips, strict=False):
        assert one.kept.sum() == other.kept.sum() == round(0.25 * len(clip.codes))
        assert not torch.equal(one.kept, other.kept)
    assert data.draw(made, [0], 1e-6, generator)[0].kept.sum() == 1
    assert data.draw(made, [0], 1.0, generator)[0].kept is None


def test_left_out_frames_count_for_the_backbone_only(base, clips):
    kept = torch.zeros(len(clips[0].codes), dtype=torch.bool)
    kept[3] = True
    batch = objective.make_batch(base, clips[:1], [kept])
    # The closing frame of zeros is always learnt by both.
    assert batch.deep.tolist() == [3, len(clips[0].codes)]
    assert len(batch.codes) == len(batch.places) == len(clips[0].codes) + 1


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


def test_a_step_that_is_no_number_is_left_out_and_changes_nothing(clips, monkeypatch, capsys):
    run = run_of(settings(), clips[:4])
    before = weights_of(run)
    real = objective.losses
    monkeypatch.setattr(objective, "losses", lambda *a: [loss * torch.nan for loss in real(*a)])
    row = loop.step(run, [0, 1])
    assert row["skipped"]
    assert row["loss"] is None
    assert "left out" in capsys.readouterr().err
    assert torch.equal(before, weights_of(run))


def test_out_of_memory_halves_the_batches_and_learns_the_same(clips, monkeypatch, capsys):
    chosen = settings(batch_size=4, learning_rate=1.0)
    weights, real = [], objective.losses

    def scarce(model, batch):
        if len(batch.ids) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(model, batch)

    for losses in (real, scarce):
        monkeypatch.setattr(objective, "losses", losses)
        run = run_of(chosen, clips[:4])
        run.progress.budget = 4 * run.clips.longest
        assert loop.step(run, range(4))["frames"] > 0
        weights.append(weights_of(run))
    assert run.progress.budget == run.clips.longest
    assert capsys.readouterr().err.count("out of memory: batches of at most") == 2
    torch.testing.assert_close(weights[0], weights[1], atol=1e-5, rtol=0)

    def none(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")

    monkeypatch.setattr(objective, "losses", none)
    with pytest.raises(StageError, match="single clip in a batch; use a smaller --preset"):
        loop.step(run, range(4))


def test_a_full_disk_costs_checkpoints_not_the_run_and_leaves_nothing_half(coded, tmp_path):
    """No file may grow over some KB: checkpoints fail, then the adapter; then there is room."""
    output = tmp_path / "adapter"
    steps = command(coded, output, "--max-steps", "4", "--checkpoint-every", "2")
    code = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, -1)); "
    code += "from vc_train.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *steps], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "step 2: no checkpoint could be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()
    assert not list(tmp_path.rglob(".partial*"))
    assert main(steps) == 0
    assert (output / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        ("no end", "no frame that ends it"),
        ("loud", "guessing gives"),
        ("frozen", "nothing is learnt"),
        ("leaking", "a fresh adapter changes the base"),
        ("changed base", "the base itself was changed"),
    ],
)
def test_self_tests_find_what_they_are_for(break_it, complaint, clips, monkeypatch):
    from vc_csm.training import checks

    model = laid_over(settings())
    base = csm.base_of(model.model)
    if break_it == "no end":
        # A template that does not close the audio.
        model.processor.chat_template = model.processor.chat_template.replace("<|audio_eos|>", "")
        model.processor.chat_template = model.processor.chat_template.replace(
            model.processor.audio_eos_token, ""
        )
    elif break_it == "loud":
        base.lm_head.weight.data *= 500
    elif break_it == "frozen":
        monkeypatch.setattr(checks, "TRIAL_RATE", 0.0)
    elif break_it == "leaking":
        for name, weight in model.model.named_parameters():
            if "lora_B" in name:
                weight.data += 0.1
    else:
        base.depth_decoder.codebooks_head.weight.requires_grad_(True)
    with pytest.raises(StageError, match=complaint):
        checks.run(model, clips_of(model, clips[:4]), settings())


def test_self_tests_leave_the_adapter_as_it_was(clips):
    from vc_csm.training import checks

    model = laid_over(settings())
    before = loop.adapter_state(model)
    checks.run(model, clips_of(model, clips[:4]), settings())
    estimate = checks.estimate(model, clips_of(model, clips[:4]), settings(), 10_000)
    assert estimate.seconds > 0
    assert estimate.memory_gb > 0.1
    assert all(weight.grad is None for weight in loop.trained(model))
    after = loop.adapter_state(model)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    "more",
    [
        ("--precision", "bf16"),
        ("--precision", "fp16"),
        ("--gradient-checkpointing", "on"),
        ("--schedule", "linear", "--preset", "24gb"),
        ("--epochs", "3", "--depth-fraction", "0.25"),
        # As on a GPU: joined projections, and what is between them compiled.
        pytest.param(("--compile", "on"), marks=COMPILES),
        pytest.param(("--compile", "on", "--precision", "fp16"), marks=COMPILES),
    ],
)
def test_every_way_to_compute_learns(more, coded, tmp_path):
    output = tmp_path / "adapter"
    assert main(command(coded, output, "--max-steps", "8", *more)) == 0
    record = json.loads((output / "training.json").read_text())
    assert record["val_loss"]["best"] < record["val_loss"]["first"] - 0.02
    if "--epochs" in more:
        assert record["steps"] == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    "more", [(), ("--compile", "on"), ("--depth-fraction", "0.25"), ("--precision", "bf16")]
)
def test_learns_on_a_gpu_what_a_cpu_learns(more, coded, tmp_path):
    kept = []
    for device in ("cpu", "cuda"):
        output = tmp_path / device
        line = ("--max-steps", "8", "--precision", "fp32", "--device", device)
        same = () if device == "cpu" and more[:1] in (("--compile",), ("--precision",)) else more
        assert main(command(coded, output, *line, *same, "--backend", "peft")) == 0
        kept.append(json.loads((output / "training.json").read_text())["val_loss"]["last"])
    assert kept[0] == pytest.approx(kept[1], abs=0.02)


@COMPILES
def test_compiled_layers_compute_the_same(clips):
    rows = []
    for compiled in (False, True):
        run = run_of(settings(), clips[:4])
        if compiled:
            assert fused.replace(run.model, compiled=True)
        rows.append(loop.step(run, range(4)))
    assert rows[0]["loss"] == pytest.approx(rows[1]["loss"], abs=1e-4)
    assert rows[0]["gradient_norm"] == pytest.approx(rows[1]["gradient_norm"], rel=1e-3)


def test_two_processes_learn_what_one_does(coded, tmp_path):
    steps = ("--max-steps", "4", "--learning-rate", "1e-3", "--batch-size", "1")
    for name, more in (("one", ()), ("two", ("--processes", "2"))):
        line = command(coded, tmp_path / name, *steps, *more)
        done = subprocess.run(
            [sys.executable, "-m", "vc_train", *line],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    for one, two in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        for name in ("loss", "gradient_norm", "val_loss", "frames"):
            assert one.get(name) == pytest.approx(two.get(name), abs=1e-4)


def test_two_processes_stop_together(coded, tmp_path):
    line = command(coded, tmp_path / "adapter", "--max-steps", "100000", "--processes", "2")
    process = subprocess.Popen([sys.executable, "-m", "vc_train", *line], stderr=subprocess.PIPE)
    patience = time.monotonic() + 200
    while not list(tmp_path.glob("adapter.checkpoints/*/candidates/*")):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < patience
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors.decode()
    assert list(tmp_path.glob("adapter.checkpoints/*/step-*"))


def test_tensorboard_has_every_figure(coded, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    output = tmp_path / "adapter"
    assert main(command(coded, output, "--max-steps", "8")) == 0
    events = EventAccumulator(str(output / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("val_loss")] == [0, 4, 8]
    losses = [row["loss"] for row in rows(output) if "loss" in row]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(losses)


def test_a_merged_model_loads_alone_and_says_the_same(coded, tmp_path):
    from transformers import CsmForConditionalGeneration

    assert main(command(coded, tmp_path / "adapter", "--max-steps", "8")) == 0
    merged = tmp_path / "merged"
    arguments = [str(tmp_path / "adapter"), "-o", str(merged), "--dtype", "float32"]
    assert main(["merge", *arguments]) == 0
    assert CsmForConditionalGeneration.from_pretrained(merged)
    text = "Say the same again."
    one = csm.speak(csm.load(str(merged), "cpu"), text, seed=3, max_seconds=2)
    adapted = csm.load(str(MICRO), "cpu", adapter=str(tmp_path / "adapter"))
    two = csm.speak(adapted, text, seed=3, max_seconds=2)
    np.testing.assert_array_equal(one.codes, two.codes)
    assert main(["merge", str(tmp_path), "-o", str(tmp_path / "no")]) == 3
    assert not (tmp_path / "no").exists()


def test_the_voice_is_listened_to_and_chosen_by_ear(coded, tmp_path):
    output = tmp_path / "adapter"
    heard = ("--max-steps", "8", "--eval-every", "4", "--samples", "2", "--sample-every", "4")
    assert main(command(coded, output, *heard)) == 0
    scored = [row for row in rows(output) if "similarity" in row]
    assert [row["step"] for row in scored] == [0, 4, 8]
    for row in scored:
        assert 0 <= row["similarity"] <= 1
        assert row["wer"] >= 0
        assert 0 <= row["stop_rate"] <= 1
    record = json.loads((output / "training.json").read_text())
    assert record["chosen_by"] == "score"
    assert record["kept_step"] == choice.chosen(scored)["step"] > 0
    samples = sorted((output / "samples").rglob("*.wav"))
    assert len(samples) == 3  # one validation clip, three times
    assert all(label.is_labelled(path) for path in samples)
    table = (output / "checkpoints.tsv").read_text().splitlines()
    assert table[0].split("\t")[:4] == ["step", "val_loss", "similarity", "wer"]
    assert [line.split("\t")[-1] for line in table[1:]].count("yes") == 1


def test_a_run_that_gets_no_better_stops_early(coded, tmp_path, capsys):
    output = tmp_path / "adapter"
    steps = ("--max-steps", "500", "--eval-every", "2", "--patience", "3", "--learning-rate", "0.1")
    assert main(command(coded, output, *steps)) == 0
    assert "nothing better in 3 validations; stopping early" in capsys.readouterr().err
    record = json.loads((output / "training.json").read_text())
    assert record["steps"] < 500
    assert record["kept_step"] <= record["steps"] - 6


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (("--targets", "no_such_layer"), "cannot be adapted"),
        (("--targets", r".*\.q_proj"), "matches the codec"),
        (("--processes", "2", "--device", "cuda"), "no CUDA device here"),
        (("--backend", "unsloth"), "unsloth"),
    ],
)
def test_what_cannot_be_is_one_line(given, complaint, coded, tmp_path, capsys):
    if "cuda" in given and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    assert main(command(coded, tmp_path / "adapter", *given)) == 3
    errors = [line for line in capsys.readouterr().err.splitlines() if "ERROR" in line]
    assert len(errors) == 1
    assert complaint in errors[0]


@pytest.mark.parametrize("damage", ["too large", "zeros inside", "empty"])
def test_damaged_codes_are_refused(damage, base, info):
    frames = np.ones((20, 8), dtype=np.int16)
    if damage == "too large":
        frames[3, 2] = 64
    elif damage == "zeros inside":
        frames[10] = 0
    else:
        frames = frames[:0]
    with pytest.raises(InputError, match="clip bad"):
        data.select([codes.CodedClip("Text.", frames, "bad", "train")], info, base, 10.0)


@pytest.mark.parametrize("option", ["--max-steps=0", "--learning-rate=-1", "--lora-dropout=2"])
def test_impossible_settings_are_usage_errors(option, coded, tmp_path):
    with pytest.raises(SystemExit, match="2"):
        main(command(coded, tmp_path / "adapter", option))


def test_help_needs_no_engine():
    code = "import sys, vc_train.cli as c; c.build_parser(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
