"""Scores lie where they must, what was spoken can be opened, bad input leaves nothing."""

import io
import json
import os
import shutil
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
from vc_core.errors import InputError
from vc_csm import csm
from vc_csm.options import FAMILY
from vc_evaluate import cli, data
from vc_speech import judge, watermark, whisper
from vc_speech.judge import Verdict

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
        assert variant["similarity"] == pytest.approx(
            np.mean([item["similarity"] for item in variant["items"]]), abs=1e-3
        )
    assert told["floor"]["count"] == 3
    assert told["floor"]["wer"] is None


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
