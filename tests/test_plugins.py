"""A family of speaking models and a transcriber from outside the tree, through the workflow."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
import yaml

from vc_speech import label

ROOT = Path(__file__).parent.parent
# The workflow runs on a minute of the shipped interview.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

OPTIONS = '''
"""Sines: a family whose voice is the number of letters in a text."""
from typing import Annotated
from pydantic import Field
from vc_core import speaking
from vc_core.speaking import Family, Limits, Speaking, Training, Variant

class SinesTraining(Training):
    """How a sine is learnt."""
    max_steps: speaking.Steps = 3
    batch_size: speaking.BatchSize = 1
    gradient_accumulation: speaking.GradientAccumulation = 1
    learning_rate: speaking.LearningRate = 0.5
    waves: Annotated[int, Field(default=1, ge=1, description="How many sines sound together.")]

class SinesSpeaking(Speaking):
    """How sines speak."""
    hertz: Annotated[float, Field(default=440.0, gt=0, description="Pitch, Hz.")]

FAMILY = Family(
    "sines", "Pure Sines", SinesTraining, SinesSpeaking,
    Limits(clip_seconds=6.0),
    (
        Variant("silence", "Before", adapter=False),
        Variant("stock", "Stock", adapter=False, stock=True),
        Variant("sines", "After", adapter=True),
    ),
    models=("toy/sines",),
)
'''

FAMILY = """
import json
import numpy as np
from vc_core import files
from vc_sines.options import FAMILY
from vc_speech.tts import Said

STOCK = {"deep": 110.0, "shrill": 1760.0}  # Hz

class Sine:
    rate, letters, device = 16000, 200, "cpu"

    def __init__(self, hertz):
        self.hertz = hertz

    def speak(self, texts, seeds):
        return [Said(self._tone(len(text) * 800), len(text), True) for text in texts]

    def stream(self, text, seed):
        yield self._tone(len(text) * 800)

    def _tone(self, size):
        return (0.2 * np.sin(np.arange(size) * self.hertz * 2 * np.pi / 16000)).astype("f4")

class Sines:
    family = FAMILY

    def prepare(self, clips, base_model, output, device):
        rows = [{"clip": clip.clip, "split": clip.split, "text": clip.text} for clip in clips]
        files.write_json(output, rows)
        splits = [row["split"] for row in rows]
        return {"clips": {split: splits.count(split) for split in set(splits)}, "left_out": {}}

    def train(self, job):
        rows = files.read_json(job.prepared)
        told = {
            "family": FAMILY.name, "family_title": FAMILY.title, "base_model": job.base_model,
            "kept_step": job.training.max_steps, "encoder": job.encoder, "consent": job.consent,
            "waves": job.training.waves, "rate": job.training.learning_rate,
        }
        with files.atomic_folder(job.output) as partial:
            (partial / "training.json").write_text(json.dumps(told))
            steps = [
                {"step": step, "loss": 1 / step, "val_loss": 1 / step, "seconds": step}
                for step in range(1, job.training.max_steps + 1)
            ]
            (partial / "training.jsonl").write_text("\\n".join(map(json.dumps, steps)) + "\\n")
            (partial / "README.md").write_text("# A sine\\n")
        return {"clips": len(rows)}

    def load(self, request):
        return Sine(request.speaking.hertz if request.adapter else 1)

    def compared(self, request, variants):
        for v in variants:
            base = STOCK[request.stock_voice] if v.stock else 1
            yield v, Sine(request.speaking.hertz if v.adapter else base)

    def stock(self, request):
        return {name: [Sine(hertz)._tone(24000)] for name, hertz in STOCK.items()}

    def copies(self, request, clips):
        return [0.5 * clip.samples for clip in clips]

SINES = Sines()
"""

TRANSCRIBER = '''
"""Hears a made-up word, out of 3600, wherever it is loud."""
import numpy as np
from vc_speech.whisper import Engine, Heard, HeardWord

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
STEP = 6400  # samples

class Parrot(Engine):
    def __init__(self, argument, device, threads):
        self.device = "cpu"

    def language_of(self, samples):
        return "en", 0.99

    def hear(self, samples, language, fallback=True, max_tokens=None):
        frames = samples[: len(samples) // STEP * STEP].reshape(-1, STEP)
        loud = np.flatnonzero(np.abs(frames).max(axis=1, initial=0) > 0.05)
        said = [SYLLABLES[x * 17 % 60] + SYLLABLES[x * x % 59] for x in loud]
        words = [
            HeardWord(at * 0.4, at * 0.4 + 0.39, " " + word, 0.9)
            for at, word in zip(loud.tolist(), said)
        ]
        return Heard(" ".join(said), words, 0.0, 1.0)
'''


def package(folder: Path, name: str, group: str, entry: str, modules: dict[str, str]) -> None:
    """Lay an installed package into ``folder``, with one entry point."""
    (folder / name).mkdir(parents=True)
    for module, text in modules.items():
        (folder / name / f"{module}.py").write_text(text)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    modules = {"__init__": "", "options": OPTIONS, "family": FAMILY}
    package(folder, "vc_sines", "voice_clone.tts", "sines = vc_sines.family:SINES", modules)
    modules = {"__init__": TRANSCRIBER}
    package(folder, "parrot", "voice_clone.transcriber", "parrot = parrot:Parrot", modules)
    return folder


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, installed: Path) -> Path:
    """The folder of a whole run with both plugins."""
    folder = tmp_path_factory.mktemp("run")
    source = {"id": "talk", "url": str(ROOT / "examples/interview.opus"), "start": 20, "end": 95}
    config: dict[str, Any] = {
        "voices": {
            "guest": {
                "consent": "Synthetic voice",
                "reference": {"source": "talk", "start": 2.63, "end": 14.23},
                "sources": [source],
                "demo_text": ["Ten sines."],
            }
        },
        "models": {
            "separator": "none",
            "transcriber": "parrot",
            "tts": "toy/sines",
        },
        "curate": {"min_dnsmos": 1.0},
        "dataset": {"validation": 0.25, "test": 0.25},
        "train": {"learning_rate": 0.25, "sines": {"waves": 2}},
        "speech": {"sines": {"hertz": 300}},
        "evaluate": {"max_texts": 1},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH", "")]))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DEFAULT_")}
    done = subprocess.run(
        [*command, "--cores", "2"],
        cwd=folder,
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_a_family_from_outside_learns_and_speaks(ran: Path) -> None:
    voice = ran / "results" / "guest"
    told = json.loads((voice / "adapter" / "training.json").read_text())
    assert (told["family"], told["waves"], told["rate"]) == ("sines", 2, 0.25)
    assert (told["kept_step"], told["consent"]) == (3, "Synthetic voice")
    (row,) = map(json.loads, (voice / "speech" / "speech.jsonl").read_text().splitlines())
    assert row["tts"] == "sines"
    samples, rate = soundfile.read(voice / "speech" / row["file"])
    assert rate == 24_000
    assert len(samples) / rate == pytest.approx(len("Ten sines.") / 20, abs=0.1)
    assert label.is_labelled(voice / "speech" / row["file"])


def test_its_variants_are_scored_and_stand_in_the_report(ran: Path) -> None:
    scores = json.loads((ran / "results" / "guest" / "scores.json").read_text())
    assert list(scores["variants"]) == ["silence", "stock", "sines"]
    assert (scores["before"], scores["after"]) == ("stock", "sines")
    page = re.sub('base64,[^"]*', "", (ran / "results" / "report.html").read_text("utf-8"))
    assert "Pure Sines" in page
    assert "LoRA" not in page
    assert "CSM" not in page


def test_they_stand_on_a_scale_from_its_nearest_stock_voice_to_the_speaker(ran: Path) -> None:
    scores = json.loads((ran / "results" / "guest" / "scores.json").read_text())
    judge, training = scores["judge_encoder"], scores["training_encoder"]
    assert (judge, training) == ("package:resemblyzer", "package:campplus")
    ranked = scores["scale"]["ranked"]
    assert set(ranked) == {"deep", "shrill"}
    assert scores["scale"]["stock_voice"] == max(ranked, key=lambda name: ranked[name])
    assert scores["variants"]["stock"]["place"] == 0
    assert scores["ceiling"]["place"] == 1
    assert scores["copies"]["place"] > 0.9, "a clip at half its level is the speaker's voice still"
    page = re.sub('base64,[^"]*', "", (ran / "results" / "report.html").read_text("utf-8"))
    assert f"Before: Stock ({scores['scale']['stock_voice']})" in page
    assert "The speaker</strong>" in page
    for told in (judge, training, "0 = nearest stock voice", "chose clips and checkpoint"):
        assert told in page


def test_clips_that_do_not_fit_the_family_are_left_out_by_encode_and_counted(ran: Path) -> None:
    voice = ran / "results" / "guest"
    told = json.loads((voice / "prepared.parquet.run.json").read_text())["figures"]
    clips = [
        json.loads(line)
        for line in (voice / "clips" / "talk" / "metadata.jsonl").read_text().splitlines()
    ]
    long = sum(clip["seconds"] > 6.1 for clip in clips)
    assert told["left_out_for"].get("too_long", 0) == long > 0
    assert sum(told["clips"].values()) + told["left_out"] == len(clips)


def test_the_transcriber_from_outside_is_everywhere(ran: Path) -> None:
    voice = ran / "results" / "guest"
    heard = json.loads((voice / "reference" / "reference.json").read_text())["text"]
    words = (ran / "work" / "guest" / "talk" / "words.jsonl").read_text().splitlines()
    for word in [*heard.split(), *(json.loads(line)["word"].strip() for line in words)]:
        assert len(word) == 4 and set(word[1::2]) <= set("aeiou")
    scores = json.loads((voice / "scores.json").read_text())
    assert scores["whisper"] == "parrot"
    assert scores["ceiling"]["wer"] is not None
