"""vc-synthesize: texts in, labelled and marked 24 kHz speech out."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vc_core import audio
from vc_csm import csm, mimi, voice
from vc_speech import label, tts, watermark
from vc_synthesize import sound, texts
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
    assert main([*arguments, "--adapter", str(adapter), "--max-seconds", "4", "--no-trim"]) == 0

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
        assert row["frames"] <= 50
        assert isinstance(row["stopped_by_itself"], bool)
        assert row["stopped_by_itself"] or row["frames"] == csm.frame_limit(row["text"], 12.5, 4)
        assert row["parts"] == 1
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


class Fixed:
    """A model that always says the same, in pieces when it streams."""

    rate, letters, device = RATE, 40, "cpu"

    def __init__(self, samples: np.ndarray) -> None:
        self.samples = samples

    def speak(self, texts, seeds):
        frames = -(-len(self.samples) // 1920)
        return [tts.Said(self.samples, frames, True) for _ in texts]

    def stream(self, text, seed):
        yield from np.array_split(self.samples, 7)


@pytest.fixture
def says(monkeypatch):
    """Put a model in CSM's place that says what it is given."""

    def say(samples: np.ndarray) -> None:
        monkeypatch.setattr(voice, "load", lambda *_: Fixed(samples))

    return say


@pytest.mark.parametrize(
    ("flag", "seconds", "marked"),
    [("--watermark", 3.0, True), ("--no-watermark", 3.0, False), ("--watermark", 0.2, False)],
)
def test_the_row_says_whether_speech_is_marked(flag, seconds, marked, tmp_path, says):
    says(buzz(seconds))
    arguments = ["Any text.", "--base-model", str(MICRO), flag]
    assert main([*arguments, "-o", str(tmp_path / "speech")]) == 0
    heard, _ = soundfile.read(tmp_path / "speech" / "000.wav", dtype="float32")
    assert rows(tmp_path / "speech")[0]["watermark"] is marked
    assert (watermark.confidence(heard, RATE) > 0.5) is marked


def test_a_model_that_says_nothing_leaves_a_file_that_plays(tmp_path, says, capsys):
    says(np.zeros(0, dtype="f4"))
    assert main(["Hm.", "--base-model", str(MICRO), "-o", str(tmp_path / "speech")]) == 0
    row = rows(tmp_path / "speech")[0]
    assert (row["seconds"], row["frames"], row["watermark"]) == (0.0, 0, False)
    assert soundfile.info(tmp_path / "speech" / "000.wav").frames > 0
    assert "said nothing" in capsys.readouterr().err


def test_silence_is_cut_from_the_ends_and_parts_are_joined_by_pauses(tmp_path, says):
    quiet = np.zeros(round(0.8 * RATE), dtype="f4")
    says(np.concatenate([quiet, buzz(1.0), quiet]))
    text = "The first sentence of it all. And the second one, which is a little longer.\n\nThird."
    arguments = [text, "--base-model", str(MICRO), "--no-watermark", "-o", str(tmp_path / "speech")]
    assert main(arguments) == 0
    row = rows(tmp_path / "speech")[0]
    assert row["parts"] == 4
    # Every part keeps 0.05 s at either end.
    pauses = texts.AFTER_SENTENCE + texts.AFTER_CLAUSE + texts.AFTER_PARAGRAPH
    assert row["seconds"] == pytest.approx(4 * 1.1 + pauses, abs=0.05)
    assert main([*arguments, "--no-trim"]) == 0
    assert rows(tmp_path / "speech")[0]["seconds"] == pytest.approx(4 * 2.6 + pauses, abs=0.05)


def test_a_text_is_split_where_it_must_be():
    def split(text: str, letters: int) -> list[str]:
        made = texts.parts_of(texts.Text(text, "x", 5), letters, "en")
        assert (made[0].seed, made[-1].pause) == (5, 0.0)
        assert len({part.seed for part in made}) == len(made)
        return [part.text for part in made]

    assert split("Dr. Smith came.  He left.", 80) == ["Dr. Smith came. He left."]
    assert split("Dr. Smith came. He left.", 16) == ["Dr. Smith came.", "He left."]
    assert split("One, two. Three. Four.", 16) == ["One, two. Three.", "Four."]
    assert split("On Monday, on Tuesday, and never again.", 24) == [
        "On Monday, on Tuesday,",
        "and never again.",
    ]
    assert split("no mark in all these words at all", 12) == [
        *("no mark in", "all these", "words at all")
    ]
    assert split("Donaudampfschifffahrt ahoy", 8) == ["Donaudampfschifffahrt", "ahoy"]
    assert split("One.\n\nTwo.", 80) == ["One.", "Two."]
    letters = texts.parts_of(texts.Text("One. Two.\n\nThree.", "x", 0), 5, "en")
    assert [part.pause for part in letters] == [texts.AFTER_SENTENCE, texts.AFTER_PARAGRAPH, 0.0]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_texts_from_a_table(suffix, tmp_path, says):
    says(buzz(1.0))
    table = tmp_path / f"lines{suffix}"
    if suffix == ".jsonl":
        listed = [{"text": "Hello, you.", "id": "greeting", "seed": 7}, {"text": "Bye."}]
        table.write_text("".join(json.dumps(row) + "\n" for row in listed), "utf-8")
    else:
        mark = "," if suffix == ".csv" else "\t"
        quoted = '"Hello, you."' if suffix == ".csv" else "Hello, you."
        lines = [("id", "text", "seed"), ("greeting", quoted, "7"), ("", "Bye.", "")]
        table.write_text("".join(mark.join(cells) + "\n" for cells in lines), "utf-8")
    arguments = ["--texts", str(table), "--base-model", str(MICRO), "--seed", "3"]
    assert main([*arguments, "-o", str(tmp_path / "speech")]) == 0
    spoken = rows(tmp_path / "speech")
    assert [(row["file"], row["text"], row["seed"]) for row in spoken] == [
        ("greeting.wav", "Hello, you.", 7),
        ("001.wav", "Bye.", 4),
    ]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.csv", "words\nHello.\n", "a.csv:1: the header has no column 'text'"),
        ("a.csv", "text,id\nHello.,../up\n", "a.csv:2: id '../up' cannot name a file"),
        ("a.tsv", "text\tid\nHi.\ta\nHo.\tA\n", "two texts have it"),
        ("a.tsv", "text\tid\n\tone\n", "a.tsv:2: has no text"),
        ("a.csv", "text,id\nOh, well,one\n", "a.csv:2: has 3 cells, the table 2 columns"),
        ("a.jsonl", '{"text": "Hi."}\nHi.\n', "a.jsonl:2: not JSON"),
        ("a.jsonl", '["Hi."]\n', "a.jsonl:1: not an object"),
        ("a.jsonl", '{"text": "Hi.", "seed": -1}\n', "a.jsonl:1: seed '-1' is no whole number"),
    ],
)
def test_a_bad_row_is_named(name, content, complaint, tmp_path, capsys):
    (tmp_path / name).write_text(content, "utf-8")
    arguments = ["--texts", str(tmp_path / name), "--base-model", str(MICRO)]
    assert main([*arguments, "-o", str(tmp_path / "speech")]) == 3
    errors = [line for line in capsys.readouterr().err.splitlines() if "ERROR" in line]
    assert len(errors) == 1 and complaint in errors[0]
    assert not (tmp_path / "speech").exists()


def test_texts_from_standard_input(tmp_path, says, monkeypatch):
    says(buzz(1.0))
    for arguments in (["--texts", "-"], ["-"]):
        monkeypatch.setattr(sys, "stdin", io.StringIO("Hi.\n\nHo.\n"))
        assert main([*arguments, "--base-model", str(MICRO), "-o", str(tmp_path / "speech")]) == 0
        assert [row["text"] for row in rows(tmp_path / "speech")] == ["Hi.", "Ho."]


def test_a_stream_is_one_labelled_wav(tmp_path, capsysbinary):
    arguments = ["A first sentence.", "A second.", "--base-model", str(MICRO), "--no-watermark"]
    assert main([*arguments, "--no-trim", "-o", str(tmp_path / "speech")]) == 0
    assert main([*arguments, "--no-trim", "-o", "-"]) == 0
    told = capsysbinary.readouterr()
    assert b"the first sound after" in told.err
    assert told.out[4:8] == b"\xff" * 4
    stream = tmp_path / "stream.wav"
    stream.write_bytes(told.out)
    info = soundfile.info(stream)
    assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
    assert label.is_labelled(stream)
    heard, _ = soundfile.read(stream, dtype="float32")
    one, two = (
        soundfile.read(tmp_path / "speech" / f"00{n}.wav", dtype="float32")[0] for n in (0, 1)
    )
    pause = np.zeros(round(texts.AFTER_PARAGRAPH * RATE), dtype="f4")
    np.testing.assert_allclose(heard, np.concatenate([one, pause, two]), atol=1e-4)


def test_a_stream_that_fails_writes_nothing(tmp_path, monkeypatch, capsysbinary):
    monkeypatch.chdir(tmp_path)
    arguments = ["Hi.", "-o", "-", "--base-model", "./none", "--record-failure"]
    assert main(arguments) == 3
    assert capsysbinary.readouterr().out == b""
    assert not list(tmp_path.iterdir())


COMMAND = [sys.executable, "-c", "import sys, vc_synthesize.cli as c; sys.exit(c.main())"]


def test_a_reader_that_goes_away_ends_the_stream_quietly(tmp_path):
    told = (tmp_path / "told.txt").open("w+b")
    arguments = ["Hello there. " * 20, "--base-model", str(MICRO), "-o", "-"]
    running = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=told)
    assert running.stdout.read(4) == b"RIFF"
    running.stdout.close()
    assert running.wait(60) == 0
    told.seek(0)
    assert b"ERROR" not in (errors := told.read()) and b"Exception" not in errors


def chunks(samples: np.ndarray, size: int) -> list[np.ndarray]:
    return [samples[at : at + size] for at in range(0, len(samples), size)]


def test_trimming_piece_by_piece_is_trimming_the_whole():
    quiet = np.zeros(RATE // 2, dtype="f4")
    speech = np.concatenate([quiet, buzz(1.0), quiet, buzz(0.5), quiet])
    whole = sound.trimmed(speech, RATE)
    assert len(whole) == pytest.approx(2.1 * RATE, abs=480)
    trim = sound.Trim(RATE)
    pieces = [trim.feed(piece) for piece in chunks(speech, 1920)]
    np.testing.assert_array_equal(np.concatenate([*pieces, trim.close()]), whole)
    assert not len(sound.trimmed(quiet, RATE))


def check_marked_in_blocks(said: np.ndarray) -> None:
    """The mark of 0.64 s blocks is found in the whole, and none of them begins with a click."""
    mark = sound.Mark(RATE)
    pieces = [mark.feed(piece) for piece in chunks(said, 8 * 1920)]
    marked = np.concatenate([*pieces, mark.close()])
    assert marked.shape == said.shape
    assert watermark.confidence(marked, RATE) > 0.9
    assert watermark.confidence(said, RATE) < 0.1
    edges = np.arange(8 * 1920, len(said) - 8 * 1920, 8 * 1920)
    np.testing.assert_allclose(marked[edges], said[edges], atol=1e-6)


def test_speech_marked_block_by_block_is_found():
    check_marked_in_blocks(buzz(3.0))


def test_real_speech_marked_block_by_block_is_found(speech):
    for path in sorted((speech / "librispeech").glob("*.flac"))[:3]:
        check_marked_in_blocks(audio.read(path, RATE)[0][: 8 * RATE])


def test_a_stream_at_another_rate_is_resampled_without_seams():
    low = audio.resample(buzz(2.0), RATE, 16_000)
    chain = sound.Chain(sound.Resample(16_000, RATE))
    pieces = [chain.feed(piece) for piece in chunks(low, 1000)]
    whole = np.concatenate([*pieces, chain.close()])
    np.testing.assert_allclose(whole, audio.resample(low, 16_000, RATE), atol=1e-3)


PLUGIN = """
import numpy as np
from vc_core.speaking import Family, Limits, Speaking, Training, Variant
from vc_speech.tts import Said

class Tone:
    rate, letters, device = 16000, 1000, "cpu"
    def __init__(self, request):
        self.loud = 0.1 if request.base_model == "quiet" else 0.3
    def speak(self, texts, seeds):
        return [Said(self.tone(len(text)), 1, True) for text in texts]
    def stream(self, text, seed):
        yield self.tone(len(text))
    def tone(self, letters):
        time = np.arange(letters * 1600) / 16000
        return (self.loud * np.sin(2 * np.pi * 440 * time)).astype("f4")

class Tones:
    family = Family(
        "tone", "Tones", Training, Speaking, Limits(10.0),
        (Variant("plain", "Plain", adapter=False),), models=("quiet",),
    )
    def load(self, request):
        return Tone(request)

TONES = Tones()
"""


def test_a_model_from_another_package_speaks(tmp_path):
    package = tmp_path / "package"
    (package / "tone-1.0.dist-info").mkdir(parents=True)
    (package / "tone_tts.py").write_text(PLUGIN)
    (package / "tone-1.0.dist-info" / "METADATA").write_text("Name: tone\nVersion: 1.0\n")
    (package / "tone-1.0.dist-info" / "entry_points.txt").write_text(
        "[voice_clone.tts]\ntone = tone_tts:TONES\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(package)}
    arguments = ["Ten letter", "--base-model", "quiet", "-o", str(tmp_path / "speech"), "--family"]

    def run(family: str) -> subprocess.CompletedProcess:
        line = [*COMMAND, *arguments, family]
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)

    for family in ("tone", "auto"):
        done = run(family)
        assert done.returncode == 0, done.stderr
        heard, rate = soundfile.read(tmp_path / "speech" / "000.wav")
        assert (rate, len(heard)) == (RATE, RATE)
        assert label.is_labelled(tmp_path / "speech" / "000.wav")
        assert rows(tmp_path / "speech")[0]["tts"] == "tone"
    done = run("tune")
    assert done.returncode == 3
    assert "'tune': no such family; there are: csm, kokoro, tone" in done.stderr


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


@pytest.mark.parametrize("damage", ["not JSON", "no weights", "a list"])
def test_a_damaged_adapter_is_one_line(damage, adapter, tmp_path, capsys):
    broken = tmp_path / "adapter"
    shutil.copytree(adapter, broken)
    if damage == "not JSON":
        (broken / "adapter_config.json").write_text('{"r": 4,')
    elif damage == "a list":
        (broken / "adapter_config.json").write_text("[]")
    else:
        (broken / "adapter_model.safetensors").write_bytes(b"half of it")
    given = ["Hi.", "--base-model", str(MICRO), "--adapter", str(broken)]
    assert main([*given, "-o", str(tmp_path / "speech")]) == 3
    errors = [line for line in capsys.readouterr().err.splitlines() if "ERROR" in line]
    assert len(errors) == 1 and str(broken) in errors[0]
    assert "bug" not in errors[0]


@pytest.mark.parametrize("wrong", [("--batch-size", "0"), ("--max-seconds", "0")])
def test_what_no_voice_can_do_is_a_usage_error(wrong, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["Hi.", "--base-model", str(MICRO), "-o", str(tmp_path / "speech"), *wrong])
    assert f"argument {wrong[0]}: '0': input should be greater" in capsys.readouterr().err
    assert not (tmp_path / "speech").exists()


def test_help_needs_no_engine():
    code = "import sys, vc_synthesize.cli as c; c.build_parser(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
