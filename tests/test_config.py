"""One configuration: its order, its errors, the files made from it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from voice_pipeline import PipelineConfig, docs
from voice_pipeline.config import source_id
from voice_pipeline.settings import ConfigError, load, resolve

ROOT = Path(__file__).parent.parent


def config(**changes: Any) -> dict[str, Any]:
    ada = {"consent": "Ada Example, written", "sources": ["talks/one.wav"]}
    return {"voices": {"ada": {**ada, **changes.pop("ada", {})}}, **changes}


def error(values: dict[str, Any], **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(values, environment=environment)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_defaults_are_the_papers() -> None:
    made = resolve(config(), environment={})
    assert made.train.base_model == "unsloth/csm-1b"
    assert (made.train.max_steps, made.train.learning_rate) == (1000, 2e-4)
    assert (made.train.batch_size, made.train.gradient_accumulation) == (2, 8)
    assert (made.download.sample_rate, made.curate.sample_rate) == (44_100, 24_000)
    reference = made.voices["ada"].reference
    assert (reference.start, reference.end) == (0, 15)


def test_environment_goes_before_the_file_and_overrides_before_both() -> None:
    values = config(train={"max_steps": 5, "batch_size": 3})
    environment = {"DEFAULT_MAX_STEPS": "50", "DEFAULT_BATCH_SIZE": "4", "DEFAULT_REF_END": "9.5"}
    made = resolve(values, {"train": {"batch_size": 6}}, environment)
    assert (made.train.max_steps, made.train.batch_size) == (50, 6)
    assert made.voices["ada"].reference.end == 9.5


def test_a_dotenv_file_is_read_beneath_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("DEFAULT_MAX_STEPS=11\nDEFAULT_BATCH_SIZE=12\n")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config()))
    monkeypatch.setenv("DEFAULT_BATCH_SIZE", "13")
    made = load(tmp_path / "config.yaml")
    assert (made.train.max_steps, made.train.batch_size) == (11, 13)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=3", "dQw4w9WgXcQ"),
        ("https://youtu.be/_abc-123", "s_abc-123"),
        ("recordings/My talk (final).opus", "My-talk-final"),
        ("https://example.org/a/b.mp3?x=1", "b"),
    ],
)
def test_source_ids_from_urls(url: str, name: str) -> None:
    assert source_id(url) == name


def test_sources_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "ada.tsv"
    table.write_text("url\tid\tlicence\n# a comment\nhttps://e.org/x.mp3\t\tCC0-1.0\ny.wav\tmine\n")
    made = resolve(config(ada={"sources_file": str(table)}), environment={})
    found = [(s.id, s.licence) for s in made.voices["ada"].sources]
    assert found == [("one", ""), ("x", "CC0-1.0"), ("mine", "")]


def test_errors_name_key_value_and_mend() -> None:
    assert "did you mean 'max_steps'" in error(config(train={"max_step": 5}))
    assert "config: train.max_step is not a key" in error(config(train={"max_step": 5}))
    assert "did you mean 'consent'" in error(config(ada={"concent": "x"}))
    assert "train.max_steps is 0" in error(config(train={"max_steps": 0}))
    assert "train.max_steps is 'many'" in error(config(), DEFAULT_MAX_STEPS="many")
    assert "voices.ada.consent" in error(config(ada={"consent": " "}))
    assert "no source; there are: one" in error(config(ada={"reference": {"source": "two"}}))
    assert "end (3) must be after start (5)" in error(
        config(ada={"reference": {"start": 5, "end": 3}})
    )
    twice = {"sources": ["a/one.wav", "b/one.wav"]}
    assert "source id 'one' is there twice" in error(config(ada=twice))
    assert "curate.sample_rate is '16000'" in error(config(), TTS_SAMPLE_RATE="16000")


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "no.yaml", environment={})
    (tmp_path / "bad.yaml").write_text("voices: [")
    with pytest.raises(ConfigError, match=r"bad\.yaml: not valid YAML"):
        load(tmp_path / "bad.yaml", environment={})


def test_generated_files_have_not_drifted() -> None:
    for path, content in docs.generated().items():
        assert (ROOT / path).read_text("utf-8") == content, f"{path}: run `make docs`"


def test_the_shipped_example_is_valid() -> None:
    made = load(ROOT / "config.yaml", environment={})
    assert list(made.voices) == ["guest"]
    assert made.train.base_model == "models/csm-micro"


def options_of(stage: str) -> dict[str, Any]:
    import importlib

    parser = importlib.import_module(f"vc_{stage}.cli").build_parser()
    return {action.dest: action.default for action in parser._actions}


# Options whose default by hand differs from the workflow's on purpose: by hand the small packaged
# models work without a network, the workflow's defaults are the ones worth a GPU.
BY_HAND = {("transcribe", "model"), ("curate", "sample_rate")}


@pytest.mark.parametrize("section", sorted(set(PipelineConfig.model_fields)))
def test_stages_have_the_same_defaults_as_the_configuration(section: str) -> None:
    if not (ROOT / "stages" / section).is_dir():
        return
    fields = PipelineConfig.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
    options = options_of(section)
    for name, field in fields.items():
        default = field.get_default(call_default_factory=True)
        if (section, name) in BY_HAND or default is None or options.get(name, None) is None:
            continue
        assert options[name] == default, f"vc-{section} --{name} and {section}.{name} differ"
