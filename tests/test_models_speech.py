"""The scripts that train the small codec and the small CSM, at toy size."""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from vc_common import audio, csm, mimi

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

MODELS = Path(__file__).parent.parent / "models"
CLIPS = 24
CODEC_STEPS, CSM_STEPS = 30, 40


@pytest.fixture(scope="module")
def scripts():
    """The modules in the models' folders, as the scripts themselves import them."""
    folders = [str(MODELS / name) for name in ("mimi-small", "csm-small")]
    before = list(sys.path)
    sys.path[:0] = folders
    names = ("runs", "sound", "quantizer", "adversary", "train_mimi", "encode_clips", "train_csm")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    torch.set_num_threads(threads)
    sys.path[:] = before
    for name in names:
        del sys.modules[name]


@pytest.fixture(scope="module")
def data(tmp_path_factory, interview):
    """The shipped interview's turns in the form of the training data."""
    folder = tmp_path_factory.mktemp("speech-data")
    samples, rate = audio.read(interview, 48_000)
    turns = json.loads(interview.with_suffix(".truth.json").read_text("utf-8"))["turns"]
    rows = []
    for turn in turns:
        seconds = turn["end"] - turn["start"]
        if not 1 <= seconds <= 5 or len(rows) == CLIPS:
            continue
        name = f"{len(rows):03}.opus"
        cut = samples[round(turn["start"] * rate) : round(turn["end"] * rate)]
        soundfile.write(folder / name, cut, rate, format="OGG", subtype="OPUS")
        row = {"file": name, "speaker": turn["speaker"], "text": turn["text"], "seconds": seconds}
        rows.append(row | {"split": "held" if len(rows) % 6 == 5 else "train"})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def codec_run(tmp_path_factory, scripts, data):
    folder = tmp_path_factory.mktemp("codec-run")
    arguments = ["-o", str(folder), "--size", "toy", "--device", "cpu", "--minutes", "5"]
    scripts.train_mimi.main([str(data), *arguments, "--steps", str(CODEC_STEPS)])
    return folder


@pytest.fixture(scope="module")
def codes(tmp_path_factory, scripts, data, codec_run):
    path = tmp_path_factory.mktemp("codes") / "codes.npz"
    cache = ["--cache", str(codec_run / "cache"), "--device", "cpu"]
    scripts.encode_clips.main([str(data), str(codec_run / "model"), "-o", str(path), *cache])
    return path


@pytest.fixture(scope="module")
def csm_run(tmp_path_factory, scripts, codec_run, codes):
    folder = tmp_path_factory.mktemp("csm-run")
    arguments = ["-o", str(folder), "--size", "toy", "--device", "cpu", "--minutes", "5"]
    named = [str(codes), str(codec_run / "model"), *arguments]
    scripts.train_csm.main([*named, "--steps", str(CSM_STEPS)])
    return folder


def learnt(scripts, data, cache):
    numbers, clips = scripts.sound.open_cache(data, cache)
    return scripts.sound.of_split(numbers, clips, "train")


def with_a_break(whole, first, second, step, tmp_path, runs):
    """What the whole loses in six steps, and two halves with a checkpoint between them."""
    expected = [step(whole) for _ in range(6)]
    halves = [step(first) for _ in range(3)]
    runs.save(first.state(), tmp_path)
    runs.save_to_carry(first.state(), tmp_path)
    second.load(runs.load(tmp_path))
    halves += [step(second) for _ in range(3)]
    return expected, halves


def test_cache_holds_every_clip(scripts, data, codec_run):
    numbers, clips = scripts.sound.open_cache(data, codec_run / "cache")
    assert len(clips) == CLIPS
    last = clips[-1]
    assert len(numbers) == last.start + last.length
    samples, _ = audio.read(data / last.file, audio.TTS_RATE)
    stored = scripts.sound.samples_of(numbers, last) / scripts.sound.SCALE
    assert np.allclose(stored, samples, atol=2e-4)


def test_codec_loss_falls(scripts, data, codec_run):
    numbers = learnt(scripts, data, codec_run / "cache")
    run = scripts.train_mimi.begin(scripts.train_mimi.SIZES["toy"], 20, "cpu")
    losses = [float(scripts.train_mimi.train_step(run, numbers)["mel"]) for _ in range(20)]
    assert np.mean(losses[-5:]) < 0.9 * losses[0]


def test_codec_goes_on_after_a_break(scripts, data, codec_run, tmp_path):
    numbers = learnt(scripts, data, codec_run / "cache")
    train = scripts.train_mimi
    # Six steps of six: all four parts of the run are in them.
    made = [train.begin(train.SIZES["toy"], 6, "cpu") for _ in range(3)]
    expected, halves = with_a_break(
        *made, lambda run: float(train.train_step(run, numbers)["mel"]), tmp_path, scripts.runs
    )
    assert halves == pytest.approx(expected, rel=1e-5)


def test_codec_folder_loads_and_says_no_frame_of_zeros(codec_run):
    codec = transformers.MimiModel.from_pretrained(codec_run / "model", dtype=torch.float32).eval()
    assert codec.config.frame_rate == 12.5
    noise = np.random.default_rng(0).normal(0, 0.2, 5 * audio.TTS_RATE).astype(np.float32)
    for heard in (noise, np.zeros(5 * audio.TTS_RATE, np.float32)):
        codes = mimi.encode(codec, heard)
        assert codes.shape[1] == 4
        assert (codes[:, 0] > 0).all()
        assert np.isfinite(mimi.decode(codec, codes)).all()
    # A language model may say code 0 within speech: it must not be loud.
    codes[:, 0] = 0
    assert np.abs(mimi.decode(codec, codes)).max() < 10


def test_codes_are_those_of_the_clips(scripts, data, codec_run, codes):
    with np.load(codes) as stored:
        assert len(stored["codes"]) == stored["frames"].sum()
        assert len(stored["text"]) == CLIPS
        assert stored["codes"].any(axis=1).all()


def test_conversation_is_laid_as_the_prompt_has_it(scripts, codec_run, codes):
    train = scripts.train_csm
    run = train.begin(train.SIZES["toy"], codec_run / "model", 4, "cpu")
    voices = train.read_codes(codes, run.whole.processor, "train")
    with np.load(codes) as stored:
        texts, frames = stored["text"].tolist()[:2], stored["frames"].tolist()[:2]
        parts = np.split(stored["codes"], np.cumsum(stored["frames"])[:-1])[:2]
    context = [csm.Utterance(texts[0], parts[0])]
    wanted = csm.prompt(run.whole.processor, context, texts[1], frames[1])
    first, second = (
        train.make_clip(run.whole.processor, text, part)
        for text, part in zip(texts, parts, strict=True)
    )
    assert torch.cat([first.ids, second.ids]).tolist() == wanted.tolist()
    batch = train.lay([[first, second], [second]], run.whole.model.config, torch.Generator())
    assert len(batch.codes) == len(batch.places) == frames[0] + 2 * frames[1] + 3
    closing = (batch.codes == 0).all(1).nonzero()[:, 0]
    assert len(closing) == 3
    assert set(closing.tolist()) <= set(batch.deep.tolist())
    rows = train.draw_pool(voices, 1024, 0)
    assert all(
        len(batch) * max(sum(len(clip.ids) for clip in row) for row in batch) <= 1024
        for batch in rows
    )


def test_csm_loss_falls_and_goes_on_after_a_break(scripts, codec_run, codes, csm_run, tmp_path):
    train = scripts.train_csm
    size = train.SIZES["toy"]
    made = [train.begin(size, codec_run / "model", 6, "cpu") for _ in range(3)]
    voices = train.read_codes(codes, made[0].whole.processor, "train")
    sources = {}

    def step(run):
        source = sources.setdefault(id(run), train.batches(run, voices, size.positions))
        return float(sum(train.train_step(run, next(source))))

    expected, halves = with_a_break(*made, step, tmp_path, scripts.runs)
    assert halves == pytest.approx(expected, rel=1e-5)
    said = json.loads((csm_run / "validation.jsonl").read_text("utf-8").splitlines()[-1])
    assert said["backbone"] + said["depth"] < 2 * np.log(35) - 0.5


def test_csm_folder_loads_and_speaks(csm_run):
    model = csm.load(str(csm_run / "model"), "cpu")
    context = [csm.Utterance("Good morning.", np.ones((10, 4), dtype=np.int16))]
    speech = csm.speak(model, "Hello there.", context, max_seconds=1.0)
    assert speech.codes.shape[1] == 4
    assert len(speech.samples) == 1920 * len(speech.codes)
    assert np.isfinite(speech.samples).all()
    kind = transformers.CsmForConditionalGeneration
    whole, report = kind.from_pretrained(csm_run / "model", output_loading_info=True)
    assert whole.dtype == torch.bfloat16
    assert not report["missing_keys"]
    assert isinstance(csm.load_processor(str(csm_run / "model")), transformers.CsmProcessor)


def test_weights_travel_in_small_files(scripts, csm_run, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}", "utf-8")
    from safetensors.torch import save_file

    name = scripts.train_csm.SHARED[0]
    many = {f"layer.{index}": torch.randn(1000, 2000) for index in range(9)}
    save_file(many | {name: torch.randn(100, 10)}, folder / "model.safetensors")
    scripts.train_csm.rewrite_weights(folder)
    shards = list(folder.glob("*.safetensors"))
    assert len(shards) > 1
    assert all(shard.stat().st_size <= 16_000_000 for shard in shards)
    index = json.loads((folder / "model.safetensors.index.json").read_text("utf-8"))
    assert set(scripts.train_csm.SHARED) <= set(index["weight_map"])


def test_carried_checkpoint_is_small_and_nearly_the_same(scripts, codec_run, codes, tmp_path):
    train, runs = scripts.train_csm, scripts.runs
    size = train.SIZES["toy"]
    first, second = (train.begin(size, codec_run / "model", 50, "cpu") for _ in range(2))
    voices = train.read_codes(codes, first.whole.processor, "train")
    source = train.batches(first, voices, size.positions)
    for _ in range(10):
        train.train_step(first, next(source))
    carried = runs.save_to_carry(first.state(), tmp_path)
    weights = sum(value.numel() for value in first.state()["model"].values())
    assert carried < 2.5 * weights + 100_000
    assert max(part.stat().st_size for part in (tmp_path / "carry").iterdir()) <= 16 * 2**20
    second.load(runs.load(tmp_path))
    assert second.step == 10
    batch = next(train.batches(second, voices, size.positions))
    losses = [float(sum(train.train_step(run, batch))) for run in (first, second)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
