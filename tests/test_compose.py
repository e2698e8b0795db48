"""The configuration is composed of what the stages and the speaking models say of their options."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from pydantic import Field

from vc_core import engines
from vc_core.options import Ambient, Home, Incidental, marker
from vc_core.speaking import Family, Limits, Speaking, Training, Variant
from voice_pipeline import access, settings
from voice_pipeline.compose import compose
from voice_pipeline.config import PipelineConfig
from voice_pipeline.faults import ConfigError
from voice_pipeline.parts import KINDS, own_keys, parts_of
from voice_pipeline.section import fields
from voice_pipeline.workflow import Plan

ROOT = Path(__file__).parent.parent
ADA = {"consent": "Ada Example, written", "sources": ["talks/one.wav"], "language": "de"}
CSM = {"tts": "unsloth/csm-1b"}


def resolve(root: Path = ROOT, within: bool = False, **values: Any) -> Any:
    """A configuration with one voice and some values."""
    told = {"voices": {"ada": ADA}, **values}
    return settings.resolve(told, environment={}, root=root, within=within)


def error(**values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(**values)
    message = str(caught.value)
    assert "\n" not in message
    return message


def said(stage: str, how: bool = False, **values: Any) -> list[str]:
    """The words that the workflow gives a stage's command."""
    plan, wildcards = Plan(resolve(**values)), SimpleNamespace(voice="ada", source="one")
    return plan.how(stage)(wildcards, 4) if how else plan.options(stage)(wildcards)


def test_every_option_of_a_stage_has_one_place_in_the_configuration() -> None:
    model = compose(ROOT)
    places = {key for key, _ in fields(model)}
    for stage, options in model.parts.options.items():
        keys = own_keys(options, model.parts.section(stage))
        assert set(keys.values()) <= places, f"{stage} has options that nobody can set"


@pytest.mark.parametrize("stage", [stage.name for stage in parts_of(ROOT).stages])
def test_defaults_and_descriptions_are_those_of_the_stages(stage: str) -> None:
    made = resolve()
    options = made.parts.options.get(stage)
    known = dict(fields(type(made)))
    for name, key in own_keys(options, made.parts.section(stage)).items() if options else ():
        field, home = options.model_fields[name], marker(options.model_fields[name], Home)
        if home is None:
            default = field.get_default(call_default_factory=True)
            assert made.at(key, "ada") == default, f"{key} and vc-{stage} differ"
            assert known[key].description == field.description


def test_what_the_file_leaves_out_of_training_is_the_familys_default() -> None:
    made = resolve(train={"batch_size": 3})
    assert (made.train.batch_size, made.train.max_steps, made.train.learning_rate) == (
        3,
        1000,
        2e-4,
    )
    assert (made.train.csm.lora_r, made.speech.csm.temperature) == (32, 0.9)
    again = settings.resolve(made.model_dump(mode="json"), environment={})
    assert again == made, "what a run writes down means the same when it is read again"


def test_a_command_is_told_every_value_and_each_from_its_home() -> None:
    words = said(
        "transcribe", models={"transcriber": "small"}, transcribe={"max_disagreement": 0.25}
    )
    assert {"--model=small", "--max-disagreement=0.25", "--language=de"} <= set(words)
    assert not any("device" in word for word in words)
    assert said("transcribe", how=True, transcribe={"device": "cpu"}) == ["--device=cpu"]
    curated = said("curate", models={"speaker_encoder": "hub:somebody/xvector"})
    assert {"--encoder=hub:somebody/xvector", "--licence=", "--no-rejected"} <= set(curated)
    assert "--encoder=package:campplus" in said("segment")


def test_the_options_of_the_speaking_model_follow_the_stages_own() -> None:
    train = said("train", train={"max_steps": 7, "csm": {"lora_r": 8}})
    assert {"--max-steps=7", "--lora-r=8", "--batch-size=2"} <= set(train)
    assert not [word for word in train if "checkpoint-every" in word or "log-every" in word]
    assert "--checkpoint-every=100" in said("train", how=True)
    for stage in ("synthesize", "evaluate"):
        words = said(stage, speech={"seed": 5, "csm": {"temperature": 0.7}})
        assert {"--seed=5", "--temperature=0.7", "--top-k=50"} <= set(words)


def test_who_counts_the_word_errors_is_the_transcriber_if_nobody_else_is_named() -> None:
    assert "--whisper=small" in said("evaluate", models={"transcriber": "small"})
    models = {"transcriber": "small", "judge": "medium"}
    assert "--whisper=medium" in said("evaluate", models=models)


def test_who_judges_the_voice_is_never_the_encoder_that_training_uses() -> None:
    words = said("evaluate")
    assert {"--judge-encoder=package:resemblyzer", "--encoder=package:campplus"} <= set(words)
    assert not [word for word in said("train") if "judge" in word]
    for name, other in (("resemblyzer", "campplus"), ("campplus", "resemblyzer")):
        both = {"speaker_encoder": f"package:{name}", "judge_encoder": f"package:{name}"}
        told = error(models=both)
        assert told.startswith("config: models.judge_encoder and models.speaker_encoder are both")
        assert told.endswith(f"name another as models.judge_encoder, such as package:{other}")
    assert "are both" in error(models={"speaker_encoder": "package:resemblyzer"})
    swapped = {"speaker_encoder": "package:resemblyzer", "judge_encoder": "package:campplus"}
    assert "--judge-encoder=package:campplus" in said("evaluate", models=swapped)


def test_what_travels_by_the_environment_stands_on_no_command_line() -> None:
    model = compose(ROOT)
    keys = set(access.variables(model).values())
    assert {"download.proxy", "download.cookies"} <= keys
    for how in (False, True):
        words = said("download", how, download={"proxy": "socks5://e.org:1080", "sleep": 3})
        assert not [word for word in words if "proxy" in word or "sleep" in word]


def test_environment_variables_are_those_that_options_name() -> None:
    known = settings.variables(compose(ROOT))
    assert known["DEFAULT_BASE_TTS_MODEL"] == "models.tts"
    assert known["DEFAULT_MAX_STEPS"] == "train.max_steps"
    assert known["DEFAULT_REF_START"] == "voices.*.reference.start"
    assert len(known) == 11


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("separate.model", "models.separator"),
        ("segment.vad", "models.vad"),
        ("segment.encoder", "models.speaker_encoder"),
        ("segment.overlap_model", "models.overlap"),
        ("transcribe.model", "models.transcriber"),
        ("train.base_model", "models.tts"),
        ("train.whisper", "models.listener"),
        *[
            (f"train.{name}", f"train.csm.{name}")
            for name in (
                "lora_alpha", "lora_dropout", "targets", "depth_fraction", "schedule", "backend",
                "preset", "quantize",
            )
        ],
        *[
            (f"train.{name}", f"train.csm.{name} or train.kokoro.{name}")
            for name in ("lora_r", "warmup_steps", "precision")
        ],
        ("synthesize.tts", "models.family"),
        ("synthesize.temperature", "speech.csm.temperature"),
        ("synthesize.top_k", "speech.csm.top_k"),
        ("synthesize.seed", "speech.seed"),
        ("synthesize.batch_size", "speech.batch_size"),
        ("evaluate.whisper", "models.judge"),
    ],
)  # fmt: skip
def test_a_key_that_moved_says_where_it_stands_now(key: str, place: str) -> None:
    section, name = key.split(".")
    assert error(**{section: {name: 1}}) == f"config: {key} has moved; write {place}"


def test_unknown_keys_of_any_depth_say_what_is_near() -> None:
    assert "train.csm.lora_ra is not a key" in error(train={"csm": {"lora_ra": 1}})
    assert "did you mean 'lora_alpha'" in error(train={"csm": {"lora_aplha": 1}})
    assert "did you mean 'speaker_encoder'" in error(models={"speaker_encode": "x"})


def test_a_base_model_that_nobody_claims_is_one_line() -> None:
    told = error(models={"tts": "somebody/talker"})
    assert told.startswith("config: base model 'somebody/talker': no family")
    assert "there are: csm" in told
    assert "models.family 'toy': no such family" in error(models={"family": "toy"})


def test_a_folder_is_known_by_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "csm"}')
    assert resolve(models={"tts": str(tmp_path)}).family().name == "csm"


class ToyTraining(Training):
    """How a toy learns."""

    max_steps: Annotated[int, Field(default=3, ge=1, le=50, description="Steps.")]
    batch_size: Annotated[int, Field(default=1, ge=1, description="Clips.")]
    gradient_accumulation: Annotated[int, Field(default=1, ge=1, description="Batches.")]
    learning_rate: Annotated[float, Field(default=0.5, gt=0, description="Rate.")]
    wobble: Annotated[float, Field(default=0.1, ge=0, le=1, description="How much it wobbles.")]
    colour: Annotated[str, Field(default="red", description="Of the lamp."), Incidental()]


class ToySpeaking(Speaking):
    """How a toy speaks."""

    pitch: Annotated[float, Field(default=220.0, gt=0, description="Of its voice, Hz.")]


TOY = Family(
    name="toy",
    title="Toy",
    training=ToyTraining,
    speaking=ToySpeaking,
    limits=Limits(clip_seconds=30.0),
    variants=(Variant("base", "Base", adapter=False), Variant("own", "Own", adapter=True)),
    pattern="toy.*",
)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that offers a family of speaking models is installed."""
    monkeypatch.setattr(engines, "names", lambda group: ["csm", "toy"])
    monkeypatch.setattr(engines, "entry", lambda group, name: SimpleNamespace(family=TOY))
    forget()
    yield
    forget()


def forget() -> None:
    parts_of.cache_clear()
    compose.cache_clear()


def test_a_family_of_another_package_has_its_part_and_its_defaults(toy: None) -> None:
    made = resolve(models={"tts": "somebody/toy-1"}, train={"toy": {"wobble": 0.5}})
    assert made.family().title == "Toy"
    assert (made.train.max_steps, made.train.learning_rate, made.train.eval_every) == (3, 0.5, 100)
    assert (made.train.toy.wobble, made.speech.toy.pitch) == (0.5, 220)
    models = {"tts": "somebody/toy-1"}
    words = said("train", models=models)
    assert {"--max-steps=3", "--wobble=0.1"} <= set(words)
    assert not [word for word in words if "lora" in word or "colour" in word]
    assert "--colour=red" in said("train", how=True, models=models)
    assert "train.toy.wobble is 2" in error(train={"toy": {"wobble": 2}})
    # The toy stands fewer steps than other models do.
    assert "config: train.max_steps is 60" in error(models=models, train={"max_steps": 60})
    assert "has moved; write train.toy.wobble" in error(train={"wobble": 0.3})


def test_a_job_where_the_family_is_not_installed_passes_its_options_by() -> None:
    values: dict[str, Any] = {"models": {"tts": "somebody/toy-1"}, "train": {"toy": {"wobble": 9}}}
    assert "train.toy is not a key" in error(**values)
    made = resolve(within=True, **values)
    plan = Plan(made, within=True)
    wildcards = SimpleNamespace(voice="ada", source="one")
    assert "--model=htdemucs" in plan.options("separate")(wildcards)
    assert plan.value("train.processes") == 1
    with pytest.raises(ConfigError, match=r"train\.max_step is not a key"):
        resolve(within=True, train={"max_step": 3})


def test_files_that_everybody_gets_know_nothing_of_what_is_installed_here(toy: None) -> None:
    from voice_pipeline import docs

    assert "toy" not in docs.page() + docs.schema()


def test_options_are_typed_and_described() -> None:
    model = compose(ROOT)
    for key, field in fields(model):
        assert field.description, f"{key} is not described"
    kinds = [kind.of(family) for kind in KINDS for family in model.parts.families]
    for options in [*model.parts.options.values(), *kinds]:
        for name, field in options.model_fields.items():
            home, ambient = marker(field, Home), marker(field, Ambient)
            assert not (home and ambient), f"{options.__name__}.{name} has two homes"


def test_the_python_name_is_the_composed_model() -> None:
    from voice_pipeline import PipelineConfig as Composed

    assert issubclass(Composed, PipelineConfig)
    assert "separate" in Composed.model_fields


@pytest.mark.parametrize(
    "path",
    sorted(ROOT.glob("stages/*/src/*/options.py")) + sorted(ROOT.glob("lib/*/src/*/options.py")),
    ids=lambda path: path.parent.name,
)
def test_options_can_be_read_where_their_stage_is_not_installed(path: Path) -> None:
    """In a pod the image of one stage plans the whole workflow, and reads the options of all."""
    allowed = {*sys.stdlib_module_names, "pydantic", "vc_core"}
    tree = ast.parse(path.read_text("utf-8"))
    names = [x.name for node in ast.walk(tree) if isinstance(node, ast.Import) for x in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert names
    assert {name.partition(".")[0] for name in names} <= allowed
