"""vc-synthesize: texts in, labelled and marked 24 kHz speech out."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vc_common import csm, label, mimi, watermark
from vc_synthesize.cli import main

MICRO = Path(__file__).parents[3] / "models" / "csm-micro"
RATE = 24_000


def tone(seconds: float, hertz: float) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * time * (1 + 0.2 * np.sin(3 * time)))).astype("f4")


def buzz(seconds: float) -> np.ndarray:
    """Something like a voice: many harmonics of a moving pitch, and breath."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(4 * time)) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 30)) * (0.6 + 0.4 * np.sin(11 * time))
    breath = np.random.default_rng(0).normal(size=len(time))
    return (0.1 * voice + 0.005 * breath).astype("f4")


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "speech.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """A LoRA adapter with random weights, so that it changes what is said."""
    import torch
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(1)
    config = LoraConfig(r=4, target_modules=csm.LORA_TARGETS, init_lora_weights=False)
    get_peft_model(csm.load(str(MICRO), "cpu").model, config).save_pretrained(folder)
    return folder


def test_speech_is_24_khz_mono_and_labelled(tmp_path, adapter):
    lines = tmp_path / "texts.txt"
    lines.write_text("A second sentence.\n\nA third one, äöü.\n", "utf-8")
    speech = tmp_path / "speech"

    arguments = ["Hello.", "--texts", str(lines), "--base-model", str(MICRO), "-o", str(speech)]
    assert main([*arguments, "--adapter", str(adapter), "--max-seconds", "2"]) == 0

    spoken = rows(speech)
    assert [row["text"] for row in spoken] == ["Hello.", "A second sentence.", "A third one, äöü."]
    assert sorted(path.name for path in speech.iterdir()) == [
        *("000.wav", "001.wav", "002.wav", "speech.jsonl")
    ]
    for index, row in enumerate(spoken):
        info = soundfile.info(speech / row["file"])
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
        assert info.frames > 0
        if row["frames"]:
            assert info.frames == row["frames"] * 1920
            assert row["seconds"] == info.frames / RATE
        assert row["frames"] <= 25
        assert isinstance(row["stopped_by_itself"], bool)
        assert row["stopped_by_itself"] or row["frames"] == csm.frame_limit(row["text"], 12.5, 2)
        assert (row["adapter"], row["seed"], row["synthetic"]) == (str(adapter), index, True)
        assert label.is_labelled(speech / row["file"])


def test_same_seed_same_speech_and_the_adapter_is_heard(adapter):
    plain, voice = csm.load(str(MICRO), "cpu"), csm.load(str(MICRO), "cpu", adapter=str(adapter))
    text = "Say the same again."
    once = csm.speak(plain, text, seed=3, max_seconds=2)
    again = csm.speak(plain, text, seed=3, max_seconds=2)
    np.testing.assert_array_equal(once.codes, again.codes)
    other = csm.speak(plain, text, seed=4, max_seconds=2)
    assert once.codes.tolist() != other.codes.tolist()
    changed = csm.speak(voice, text, seed=3, max_seconds=2)
    assert once.codes.tolist() != changed.codes.tolist()


def test_no_code_beyond_the_codebooks_is_drawn():
    model = csm.load(str(MICRO), "cpu")
    for seed in range(3):
        said = csm.speak(model, "A hot one.", seed=seed, temperature=5.0, top_k=67, max_seconds=2)
        assert said.codes.max(initial=0) < model.model.config.codec_config.codebook_size


def test_context_goes_before_the_text(tmp_path):
    model = csm.load(str(MICRO), "cpu")
    heard = csm.Utterance("Heard before.", mimi.encode(model.model.codec_model, tone(1.0, 200)))
    positions = csm.prompt(model.processor, [heard], "Said after.", None)
    audio = positions == model.model.config.audio_token_id
    assert audio.sum() == len(heard.codes) == 13
    assert positions[-1] == model.processor.tokenizer.eos_token_id

    context = tmp_path / "reference.wav"
    soundfile.write(context, tone(1.0, 200), RATE)
    arguments = ["Hi.", "--base-model", str(MICRO), "--max-seconds", "1", "--context-audio"]
    assert main([*arguments, str(context), "-o", str(tmp_path / "speech")]) == 3, "no text to it"
    (tmp_path / "reference.json").write_text('{"text": "Heard before."}')
    assert main([*arguments, str(context), "-o", str(tmp_path / "speech")]) == 0
    assert rows(tmp_path / "speech")[0]["context"] == str(context)


def test_context_that_leaves_no_room_is_refused():
    model = csm.load(str(MICRO), "cpu")
    long = csm.Utterance("Long.", np.ones((2040, 8), dtype=np.int16))
    with pytest.raises(ValueError, match="2048 positions; shorten"):
        csm.speak(model, "No room left.", [long])


def test_watermark_is_found_in_marked_speech_only(tmp_path):
    speech = buzz(3.0)
    marked = watermark.mark(speech, RATE)
    assert marked.shape == speech.shape
    label.write(tmp_path / "marked.wav", marked, "test")
    heard, _ = soundfile.read(tmp_path / "marked.wav", dtype="float32")
    assert watermark.confidence(heard, RATE) > 0.9
    assert watermark.confidence(speech, RATE) < 0.1
    assert watermark.confidence(np.zeros(RATE, dtype="f4"), RATE) == 0.0


@pytest.mark.parametrize(
    ("flag", "seconds", "marked"),
    [("--watermark", 3.0, True), ("--no-watermark", 3.0, False), ("--watermark", 0.2, False)],
)
def test_the_row_says_whether_speech_is_marked(flag, seconds, marked, tmp_path, monkeypatch):
    said = csm.Speech(buzz(seconds), np.ones((round(seconds * 12.5), 8), dtype=np.int16), True)
    monkeypatch.setattr(csm, "speak", lambda *_, **__: said)
    arguments = ["Any text.", "--base-model", str(MICRO), flag]
    assert main([*arguments, "-o", str(tmp_path / "speech")]) == 0
    heard, _ = soundfile.read(tmp_path / "speech" / "000.wav", dtype="float32")
    assert rows(tmp_path / "speech")[0]["watermark"] is marked
    assert (watermark.confidence(heard, RATE) > 0.5) is marked


def test_a_model_that_says_nothing_leaves_a_file_that_plays(tmp_path, monkeypatch):
    nothing = csm.Speech(np.zeros(0, dtype="f4"), np.zeros((0, 8), dtype=np.int16), True)
    monkeypatch.setattr(csm, "speak", lambda *_, **__: nothing)
    assert main(["Hm.", "--base-model", str(MICRO), "-o", str(tmp_path / "speech")]) == 0
    row = rows(tmp_path / "speech")[0]
    assert (row["seconds"], row["frames"], row["watermark"]) == (0.0, 0, False)
    assert soundfile.info(tmp_path / "speech" / "000.wav").frames > 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--base-model", str(MICRO)], "nothing to say"),
        (["Hi.", "--base-model", "./no-model"], "'./no-model': no such folder"),
        (["Hi.", "--base-model", str(MICRO), "--adapter", "./none"], "no adapter_config.json"),
        (["Hi.", "--base-model", str(MICRO), "--context-audio", "none.wav"], "none.wav: no such"),
        (["Hi.", "--base-model", str(MICRO), "--texts", "none.txt"], "none.txt: no such"),
    ],
)
def test_unusable_input_is_one_line_and_no_folder(arguments, complaint, tmp_path, capsys):
    output = tmp_path / "out" / "speech"
    assert main([*arguments, "-o", str(output)]) == 3
    errors = [line for line in capsys.readouterr().err.splitlines() if "ERROR" in line]
    assert len(errors) == 1
    assert complaint in errors[0]
    assert not output.exists()
    assert not list(tmp_path.glob("out/.partial*"))


def test_help_needs_no_engine():
    code = "import sys, vc_synthesize.cli as c; c.build_parser(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
