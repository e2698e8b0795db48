"""Scores lie where they must, what was spoken can be opened, bad input leaves nothing."""

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from pyarrow import parquet

from vc_core import manifests
from vc_core.audio import ENGINE_RATE, TTS_RATE
from vc_core.dataset import DatasetClip
from vc_core.errors import InputError
from vc_core.speaking import Family, Limits, Speaking, Training, Variant
from vc_csm import csm, mimi
from vc_csm.family import CSM
from vc_csm.options import FAMILY, CsmSpeaking
from vc_evaluate import cli, data, evaluation
from vc_evaluate.options import EvaluateOptions
from vc_speech import encoders, judge, watermark, whisper
from vc_speech.judge import Verdict
from vc_speech.tts import Request, Said

ROOT = Path(__file__).parents[3]
MODEL = Path(os.environ.get("VOICE_CLONE_TEST_CSM", ROOT / "models" / "csm-micro"))

with_model = pytest.mark.skipif(not (MODEL / "config.json").is_file(), reason=f"no {MODEL}")


@dataclass(frozen=True)
class Inputs:
    """What the command reads."""

    folder: Path

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"

    def command(self, *options: str) -> list[str]:
        return [
            str(self.dataset),
            f"--reference={self.folder / 'reference.wav'}",
            f"--base-model={MODEL}",
            "--whisper=package:whisper-base",
            f"--adapter={self.folder / 'adapter'}",
            f"--vocals={self.folder / 'vocals.flac'}",
            f"--segments={self.folder / 'segments.jsonl'}",
            f"--output={self.folder / 'scores.json'}",
            *options,
        ]

    def scores(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.folder / "scores.json").read_text("utf-8"))
        return told


def voiced(seconds: float, pitch: float = 130.0, rate: int = TTS_RATE) -> np.ndarray:
    """A hum with a syllable's rhythm: not speech, but more than noise."""
    time = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
    return np.asarray(0.1 * tone * (1 + np.sin(2 * np.pi * 4 * time)), dtype=np.float32)


def flac(samples: np.ndarray, rate: int = TTS_RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="FLAC")
    return buffer.getvalue()


def write_split(dataset: Path, split: str, clips: list[tuple[str, np.ndarray]]) -> None:
    rows = [
        {
            "audio": {"bytes": flac(samples), "path": f"{number}.flac"},
            "text": text,
            "voice": "ada",
            "language": "en",
        }
        for number, (text, samples) in enumerate(clips)
    ]
    path = dataset / "data" / f"{split}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), path)


def people(speech: Path) -> tuple[list[tuple[str, np.ndarray]], list[np.ndarray]]:
    """Clips of one voice with texts at 24 kHz, the longest first, and of three others at 16 kHz."""
    listed = (speech / "kathleen" / "metadata.csv").read_text("utf-8").splitlines()[:12]
    texts = dict(line.split("|", 1) for line in listed)
    own = [
        (text, soundfile.read(speech / "kathleen" / "flac24k" / f"{name}.flac", dtype="float32")[0])
        for name, text in texts.items()
    ]
    own.sort(key=lambda clip: -len(clip[1]))
    files = sorted((speech / "librispeech").glob("*.flac"))[:3]
    return own, [soundfile.read(file, dtype="float32")[0][: 4 * ENGINE_RATE] for file in files]


@pytest.fixture(scope="module")
def made(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A dataset, a recording with other speakers, an adapter that changes the model."""
    from peft import LoraConfig, get_peft_model

    inputs = Inputs(tmp_path_factory.mktemp("inputs"))
    own, others = people(speech)
    # A model that has learnt nothing speaks as long as a text allows, so short ones are spoken.
    write_split(inputs.dataset, "train", own[1:9])
    write_split(inputs.dataset, "test", own[9:])
    soundfile.write(inputs.folder / "reference.wav", own[0][1], TTS_RATE)

    soundfile.write(inputs.folder / "vocals.flac", np.concatenate(others), ENGINE_RATE)
    ends = np.cumsum([len(part) / ENGINE_RATE for part in others])
    rows = [manifests.Segment(end - 4.0, end, "other", str(n)) for n, end in enumerate(ends)]
    manifests.write_rows(inputs.folder / "segments.jsonl", rows)

    model = csm.load(str(MODEL), "cpu").model
    lora = LoraConfig(r=4, target_modules=csm.LORA_TARGETS, init_lora_weights=False)
    get_peft_model(model, lora).save_pretrained(inputs.folder / "adapter")
    return inputs


@pytest.fixture(scope="module")
def evaluated(made: Inputs) -> Inputs:
    assert cli.main(made.command("--max-texts=2", f"--reference-text={'And so it was.'}")) == 0
    return made


@with_model
def test_scores_are_in_range(evaluated: Inputs) -> None:
    told = evaluated.scores()
    assert (told["voice"], told["texts"], told["split"]) == ("ada", 2, "test")
    assert list(told["variants"]) == [variant.name for variant in FAMILY.variants]
    for variant in told["variants"].values():
        assert -1 <= variant["similarity_ci"][0] <= variant["similarity"] <= 1
        assert variant["wer"] >= 0
        assert 1 <= variant["dnsmos"] <= 5
        assert 0 <= variant["stop_rate"] <= 1
        assert variant["real_time_factor"] is None or variant["real_time_factor"] > 0
        assert len(variant["items"]) == 2
        assert -1 <= variant["training_similarity"] <= 1
        assert variant["place"] is None
        assert variant["similarity"] == pytest.approx(
            np.mean([item["similarity"] for item in variant["items"]]), abs=1e-3
        )
    assert told["floor"]["count"] == 3
    assert told["floor"]["wer"] is None
    assert told["judge_encoder"] == "package:resemblyzer"
    assert told["training_encoder"] == "package:campplus"
    assert told["scale"] is None
    assert told["notes"] == ["No place on the scale: no voice comes with Sesame CSM."]


@with_model
def test_copies_are_the_clips_through_the_codec(evaluated: Inputs) -> None:
    told = evaluated.scores()
    assert told["copies"]["count"] == 2
    assert told["copies"]["wer"] is not None
    clips, _ = data.choose_texts(evaluated.dataset, 2)
    request = Request(str(MODEL), "", "cpu", None, "", CsmSpeaking.model_validate({}))
    copies = CSM.copies(request, clips)
    for copy, clip in zip(copies, clips, strict=True):
        assert copy.dtype == np.float32
        assert len(copy) == len(clip.samples)
    codec = mimi.load(str(MODEL), "cpu")
    again = mimi.decode(codec, mimi.encode(codec, clips[0].samples))
    np.testing.assert_array_equal(copies[0], again[: len(copies[0])])
    assert CSM.stock(request) == {}


@with_model
def test_files_open_at_24_khz_mono(evaluated: Inputs) -> None:
    variants = evaluated.scores()["variants"]
    for name, variant in variants.items():
        for item in variant["items"]:
            assert item["file"].startswith(name.replace("+", "-") + "/")
            samples, rate = soundfile.read(evaluated.folder / "evaluation" / item["file"])
            assert (rate, samples.ndim) == (TTS_RATE, 1)
            assert len(samples) / rate == pytest.approx(item["seconds"], abs=0.001)


@with_model
def test_everything_spoken_says_that_it_is_synthetic(evaluated: Inputs) -> None:
    for path in (evaluated.folder / "evaluation").rglob("*.wav"):
        with soundfile.SoundFile(path) as file:
            assert "Synthetic" in file.comment
            samples = file.read(dtype="float32")
        # Less than half a second holds no mark.
        if len(samples) > watermark.SHORTEST * TTS_RATE:
            assert watermark.confidence(samples, TTS_RATE) > 0.5


@with_model
def test_variants_differ_only_as_they_should(evaluated: Inputs) -> None:
    first = {
        name: soundfile.read(evaluated.folder / "evaluation" / f"{name}" / "000.wav")[0].tobytes()
        for name in ("base", "base-context", "lora", "lora-context")
    }
    assert len(set(first.values())) == 4
    plain = csm.load(str(MODEL), "cpu")
    text = evaluated.scores()["variants"]["base"]["items"][0]["text"]
    again = watermark.mark(csm.speak(plain, text, seed=0).samples, TTS_RATE)
    heard = soundfile.read(evaluated.folder / "evaluation" / "base" / "000.wav")[0]
    np.testing.assert_allclose(heard, again.clip(-1, 1), rtol=0, atol=1e-3)


@with_model
def test_own_voice_is_nearer_than_other_people(evaluated: Inputs) -> None:
    told = evaluated.scores()
    assert told["ceiling"]["similarity"] > told["floor"]["similarity"] + 0.1
    assert told["ceiling"]["wer"] < 0.3
    assert told["ceiling"]["dnsmos"] > 2.5


@with_model
def test_validation_stands_in_for_an_empty_test_split(
    made: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which words are heard is not asked here.
    monkeypatch.setattr(whisper, "load", lambda *_: _Deaf())
    shutil.copytree(made.dataset, tmp_path / "dataset")
    data_folder = tmp_path / "dataset" / "data"
    (data_folder / "test-00000-of-00001.parquet").rename(
        data_folder / "validation-00000-of-00001.parquet"
    )
    (data_folder / "train-00000-of-00001.parquet").unlink()
    for name in ("reference.wav", "adapter"):
        (tmp_path / name).symlink_to(made.folder / name)
    inputs = Inputs(tmp_path)
    command = [part for part in inputs.command() if not part.startswith(("--vocals", "--segments"))]
    speech = tmp_path / "spoken"
    options = ["--variants=lora,base", "--max-texts=1", f"--speech-dir={speech}"]
    assert cli.main([*command, *options]) == 0
    told = inputs.scores()
    assert told["split"] == "validation"
    assert told["floor"] is None
    assert [note.split(":")[0] for note in told["notes"]] == [
        "The test split is empty",
        "No training clip",
        "No floor",
        "No place on the scale",
    ]
    assert sorted(path.name for path in speech.iterdir()) == ["base", "lora"]


@pytest.mark.parametrize(
    ("option", "code", "said"),
    [
        ("--adapter=nowhere", 3, "no such file or folder"),
        ("--reference=nowhere.wav", 3, "no such file or folder"),
        ("--vocals=/dev/null", 3, "--vocals has 2 files, --segments 1"),
        ("--base-model=./nowhere", 3, "no such folder"),
    ],
)
@with_model
def test_bad_options(
    made: Inputs, capsys: pytest.CaptureFixture[str], option: str, code: int, said: str
) -> None:
    output = made.folder / "bad" / "scores.json"
    assert cli.main([*made.command(), option, f"--output={output}"]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]
    assert not output.parent.exists() or not list(output.parent.iterdir())


def test_no_text_is_a_usage_error(made: Inputs, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(made.command("--max-texts=0"))
    assert stopped.value.code == 2
    assert "--max-texts: '0': input should be greater than or equal to 1" in capsys.readouterr().err


def test_unknown_variant_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.build_parser().named(["--variants=lora,clone"])
    assert stopped.value.code == 2
    assert "give some of base, base+context" in capsys.readouterr().err


@with_model
def test_bad_inputs_leave_nothing(
    made: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, broken, adapter = (tmp_path / name for name in ("empty", "broken", "adapter"))
    empty.mkdir()
    adapter.mkdir()
    (broken / "data").mkdir(parents=True)
    (broken / "data" / "test-00000-of-00001.parquet").write_text("no parquet")
    output = tmp_path / "out" / "scores.json"
    for command, said in (
        ([str(empty), *made.command()[1:]], "neither test nor validation"),
        ([str(broken), *made.command()[1:]], "not a dataset of clips"),
        ([*made.command(), f"--adapter={adapter}"], "no adapter_config.json"),
    ):
        assert cli.main([*command, f"--output={output}"]) == 3
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1 and said in lines[0]
        assert not output.parent.exists() or not list(output.parent.iterdir())


def test_short_and_foreign_segments_are_no_floor(tmp_path: Path) -> None:
    segments = [
        manifests.Segment(0, 5, "target"),
        manifests.Segment(5, 6.5, "other"),
        manifests.Segment(6.5, 9, "other"),
        manifests.Segment(9, 15, "music"),
    ]
    path = tmp_path / "segments.jsonl"
    manifests.write_rows(path, segments)
    assert data.others([(tmp_path / "v.flac", path)], 10) == [(tmp_path / "v.flac", segments[2])]


def test_clips_without_words_are_passed_over(tmp_path: Path) -> None:
    write_split(tmp_path, "test", [("...", voiced(1.0)), ("Good morning.", voiced(1.0))])
    texts, split = data.choose_texts(tmp_path, 5)
    assert [clip.text for clip in texts] == ["Good morning."]
    assert split == "test"
    with pytest.raises(InputError):
        data.choose_texts(tmp_path / "nowhere", 5)


class _Deaf:
    """Stands in for Whisper where it hears no word."""

    def hear(self, *_: object, **__: object) -> Any:
        return type("Heard", (), {"text": ""})()


class _Alike:
    """Stands in for the encoder: every sound is the same voice."""

    def embed(self, _: object) -> np.ndarray:
        return np.array([1.0, 0.0], dtype=np.float32)


SINES = Family(
    "sines", "Pure Sines", Training, Speaking, Limits(clip_seconds=30.0),
    (
        Variant("stock", "Nearest", adapter=False, stock=True),
        Variant("silence", "Silence", adapter=False),
        Variant("own", "Learnt", adapter=True),
    ),
)  # fmt: skip
VOICES = {"low": 150.0, "mid": 280.0, "high": 900.0}  # Hz


class _Sines:
    """A family whose voices are pitches; what it has learnt is to speak at 230 Hz."""

    family = SINES

    def __init__(self, voices: Mapping[str, float], copies: bool = True) -> None:
        self.voices = voices
        self.asked: list[Request] = []
        self._copies = copies

    def stock(self, request: Request) -> dict[str, list[np.ndarray]]:
        self.asked.append(request)
        return {name: [tone(hertz)] * 2 for name, hertz in self.voices.items()} | {"mute": []}

    def compared(
        self, request: Request, variants: Sequence[Variant]
    ) -> Iterator[tuple[Variant, Any]]:
        self.asked.append(request)
        # Those with the adapter first, as a family is free to.
        for variant in sorted(variants, key=lambda variant: not variant.adapter):
            hertz = 230.0 if variant.adapter else 0.0
            yield variant, _Sine(self.voices[request.stock_voice] if variant.stock else hertz)

    def copies(self, request: Request, clips: Sequence[DatasetClip]) -> list[np.ndarray]:
        return [tone(205.0) for _ in clips] if self._copies else []


@dataclass(frozen=True)
class _Sine:
    hertz: float
    rate: int = TTS_RATE
    device: str = "cpu"

    def speak(self, texts: Sequence[str], seeds: Sequence[int]) -> list[Said]:
        return [Said(tone(self.hertz), 1, True) for _ in texts]


def tone(hertz: float) -> np.ndarray:
    """Less than half a second, so that no watermark alters it."""
    time = np.arange(round(0.4 * TTS_RATE)) / TTS_RATE
    return np.asarray(0.2 * np.sin(2 * np.pi * hertz * time), dtype=np.float32)


class _Pitch:
    """An encoder: a sine's pitch is an angle."""

    def __init__(self, hertz_a_radian: float) -> None:
        self._scale = hertz_a_radian

    def embed(self, samples: np.ndarray) -> np.ndarray:
        spectrum = np.abs(np.fft.rfft(samples))
        hertz = np.argmax(spectrum) * ENGINE_RATE / len(samples)
        return np.array([np.cos(hertz / self._scale), np.sin(hertz / self._scale)], np.float32)


Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture
def pitches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Evaluates sines; the target is a sine of 200 Hz, the held-out clips are of 210 Hz."""
    loaded = []

    def load(name: str, device: str = "cpu") -> _Pitch:
        loaded.append(name)
        return _Pitch({"ears": 600.0, "friend": 2000.0}[name])

    monkeypatch.setattr(encoders, "load", load)
    monkeypatch.setattr(whisper, "load", lambda *_: _Deaf())
    write_split(tmp_path / "dataset", "train", [("One.", tone(200.0))])
    write_split(tmp_path / "dataset", "test", [("Two.", tone(210.0)), ("Three.", tone(210.0))])
    soundfile.write(tmp_path / "reference.wav", tone(200.0), TTS_RATE)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "training.json").write_text('{"encoder": "friend"}')

    def evaluate(model: Any, names: str = "stock silence own") -> dict[str, Any]:
        loaded.clear()
        request = Request(
            "toy", str(tmp_path / "adapter"), "cpu", tmp_path / "reference.wav", "",
            Speaking.model_validate({}),
        )  # fmt: skip
        told = {"base_model": "toy", "judge_encoder": "ears", "encoder": "another"}
        evaluation.run(
            tmp_path / "dataset",
            model,
            request,
            [variant for variant in SINES.variants if variant.name in names.split()],
            [],
            EvaluateOptions.model_validate(told),
            output=tmp_path / "scores.json",
            folder=tmp_path / "evaluation",
        )
        assert sorted(loaded) == ["ears", "friend"], "each is loaded once"
        scores: dict[str, Any] = json.loads((tmp_path / "scores.json").read_text())
        return scores

    return evaluate


def test_the_nearest_stock_voice_is_0_and_the_speakers_own_clips_are_1(pitches: Evaluate) -> None:
    model = _Sines(VOICES)
    scores = pitches(model)
    assert [request.language for request in model.asked] == ["en", "en"]
    assert [request.stock_voice for request in model.asked] == ["", "low"]
    scale = scores["scale"]
    assert list(scale["ranked"]) == ["low", "mid", "high"]
    assert (scale["zero_is"], scale["stock_voice"]) == ("the stock voice low", "low")
    assert scale["zero"] == scores["variants"]["stock"]["similarity"]
    assert scale["one"] == scores["ceiling"]["similarity"]
    assert list(scores["variants"]) == ["stock", "silence", "own"]
    assert (scores["before"], scores["after"]) == ("stock", "own")
    rows = {**scores["variants"], "ceiling": scores["ceiling"], "copies": scores["copies"]}
    for row in rows.values():
        way = (row["similarity"] - scale["zero"]) / (scale["one"] - scale["zero"])
        assert row["place"] == pytest.approx(way, abs=1e-3)
    assert (rows["stock"]["place"], rows["ceiling"]["place"]) == (0.0, 1.0)
    assert rows["silence"]["place"] < 0 < rows["own"]["place"] < 1 < rows["copies"]["place"]
    # The friend, who hears less of a difference, says so beside.
    assert scores["training_encoder"] == "friend"
    assert rows["own"]["similarity"] < rows["own"]["training_similarity"] < 1
    assert scores["copies"]["count"] == 2
    assert scores["notes"] == ["No floor: no recordings were given with --vocals and --segments."]


@pytest.mark.parametrize(
    ("voices", "names", "note"),
    [
        (VOICES, "silence own", "no stock voice is among the variants that speak"),
        ({}, "stock silence own", "no voice for language 'en' comes with the base model"),
        ({"twin": 203.0}, "stock own", "to the judge the speaker's own clips"),
    ],
)
def test_without_a_scale_there_is_no_place_and_a_note(
    pitches: Evaluate, voices: dict[str, float], names: str, note: str
) -> None:
    scores = pitches(_Sines(voices, copies=False), names)
    assert f"No place on the scale: {note}" in scores["notes"][-1]
    rows = [*scores["variants"].values(), scores["ceiling"]]
    assert [row["place"] for row in rows] == [None] * len(rows)
    assert (scores["scale"] is not None) is ("twin" in voices)
    assert scores["before"] == ("stock" if "twin" in voices else "silence")
    assert "copies" not in scores


def test_a_stock_voice_that_there_is_not_cannot_speak_alone(pitches: Evaluate) -> None:
    with pytest.raises(InputError, match=r"no voice for language 'en'.*other --variants"):
        pitches(_Sines({}), "stock")


@pytest.mark.parametrize(
    ("told", "options", "said"),
    [
        ('{"encoder": "package:resemblyzer"}', [], "package:resemblyzer chose the checkpoint"),
        ('{"encoder": ""}', ["--encoder=package:resemblyzer"], "training uses package:resemblyzer"),
        ("{}", ["--judge-encoder=package:campplus"], "--encoder: training uses package:campplus"),
    ],
)
@with_model
def test_the_encoder_that_training_used_must_not_judge(
    made: Inputs,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    told: str,
    options: list[str],
    said: str,
) -> None:
    (tmp_path / "training.json").write_text(told)
    output = tmp_path / "out" / "scores.json"
    command = made.command(f"--adapter={tmp_path}", f"--output={output}", *options)
    assert cli.main(command) == 3
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]
    assert "name another speaker encoder as --judge-encoder (models.judge_encoder)" in lines[0]
    assert not output.parent.exists()


def test_nothing_said_counts_as_all_words_missing() -> None:
    judging: Any = judge.Judge
    deaf = judging(_Alike(), _Deaf(), [voiced(1.0)], "en")
    silent = deaf.judge(np.zeros(0, dtype=np.float32), "two words")
    assert (silent.similarity, silent.wer, silent.dnsmos, silent.words) == (0.0, 1.0, 1.0, 2)
    assert deaf.judge(np.zeros(TTS_RATE, dtype=np.float32), "two words").similarity == 0.0
    hum = deaf.judge(voiced(2.0), "two words")
    assert (hum.wer, hum.similarity) == (1.0, pytest.approx(1.0))


def test_means_weigh_words_and_enclose_the_mean() -> None:
    verdicts = [
        Verdict(similarity=0.4, dnsmos=2.0, wer=1.5, words=2, heard="a b c"),
        Verdict(similarity=0.6, dnsmos=3.0, wer=0.0, words=8, heard="right"),
    ]
    told = judge.means(verdicts, seed=0)
    assert (told.similarity, told.dnsmos, told.wer) == (0.5, 2.5, 0.3)
    assert told.wer_ci is not None
    assert told.similarity_ci[0] <= 0.5 <= told.similarity_ci[1]
    assert told.wer_ci[0] <= 0.3 <= told.wer_ci[1]
    with pytest.raises(ValueError, match="no verdict"):
        judge.means([], seed=0)
