"""One configuration: its order, its errors, the files made from it."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from voice_pipeline import docs
from voice_pipeline.access import lay, sections_in
from voice_pipeline.faults import ConfigError
from voice_pipeline.settings import load, resolve
from voice_pipeline.sources import source_id

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
    assert made.models.tts == "unsloth/csm-1b"
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


def sources_of(table: Path, content: str) -> list[dict[str, Any]]:
    """The sources that a table adds, with the keys they have."""
    table.write_text(content)
    made = resolve(config(ada={"sources": [], "sources_file": str(table)}), environment={})
    return [
        source.model_dump(exclude_defaults=True, exclude={"url"})
        for source in made.voices["ada"].sources
    ]


def test_sources_from_a_table_go_by_the_names_in_its_header(tmp_path: Path) -> None:
    content = (
        "# of https://e.org/list\n"
        "id\turl\ttitle\tseconds\tlicence\n"
        'talk-1\thttps://e.org/1.mp3\tA "talk" <of> 1\t12.5\tCC0-1.0\n'
        "# live\thttps://e.org/2\tLive\t\t\n"
        "\n"
        "\thttps://e.org/x.mp3\n"
    )
    assert sources_of(tmp_path / "ada.tsv", content) == [
        {"id": "talk-1", "licence": "CC0-1.0"},
        {"id": "x"},
    ]


def test_what_the_download_lists_is_a_table_of_sources(tmp_path: Path) -> None:
    from vc_download import listing

    row = listing.Row("talk-1", "https://e.org/1.mp3", 'A "talk" # 1', "12.5", "CC0-1.0")
    listing.write([row, dataclasses.replace(row, refused="live")], tmp_path / "listed.tsv")
    listed = (tmp_path / "listed.tsv").read_text()
    assert sources_of(tmp_path / "ada.tsv", listed) == [{"id": "talk-1", "licence": "CC0-1.0"}]


def test_a_table_may_take_sections_and_have_its_columns_in_any_order(tmp_path: Path) -> None:
    content = "\ufeffEnd\turl\tid\tStart\r\n90\ty.wav\tmine\t1.5\r\n\tz.wav\t\t2\r\n"
    assert sources_of(tmp_path / "ada.tsv", content) == [
        {"id": "mine", "start": 1.5, "end": 90},
        {"id": "z", "start": 2},
    ]


def test_a_table_without_a_header_is_url_id_licence(tmp_path: Path) -> None:
    content = "https://e.org/x.mp3\t\tCC0-1.0\ny.wav\tmine\nz.wav\n"
    assert sources_of(tmp_path / "ada.tsv", content) == [
        {"id": "x", "licence": "CC0-1.0"},
        {"id": "mine"},
        {"id": "z"},
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"url\tlicense\n", "line 1: 'license' is no column; there are: id, url, title, seconds"),
        (b"id\ttitle\n", "line 1: the header has no column 'url'"),
        (b"url\turl\n", "line 1: column 'url' is there twice"),
        (b"url\tid\na.wav\n\n\tb\n", "line 4: has no url"),
        (b"url\tid\na.wav\t../b\n", "line 2: id is '../b': String should match pattern"),
        (b"# x\nurl\tstart\na.wav\tsoon\n", "line 3: start is 'soon': Input should be a valid"),
        (b"url\tstart\tend\na.wav\t9\t3\n", "line 2: end (3) must be after start (9)"),
        (b"url\tend\na.wav\tinf\n", "line 2: end is 'inf': Input should be a finite number"),
        (b"a.wav\ta\tMIT\tmore\n", "line 1: has 4 cells, the table 3 columns"),
        (b"https://[e.org\n", "line 1: url is 'https://[e.org': Invalid IPv6 URL"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_table_is_named_by_file_and_line(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    table = tmp_path / "ada.tsv"
    if content is not None:
        table.write_bytes(content)
    told = error(config(ada={"sources_file": str(table)}))
    assert str(table) in told and said in told


def test_two_urls_that_make_one_id_are_both_named(tmp_path: Path) -> None:
    table = tmp_path / "ada.tsv"
    table.write_text("https://e.org/a/talk.mp3\nhttps://e.org/b/talk.ogg\n")
    told = error(config(ada={"sources_file": str(table)}))
    assert "'talk' is there twice (https://e.org/a/talk.mp3 and https://e.org/b/talk.ogg)" in told


def test_an_id_that_yaml_takes_for_something_else_is_an_error() -> None:
    source = yaml.safe_load("{id: off, url: a.wav}")
    assert "sources.0.id is False: Input should be" in error(config(ada={"sources": [source]}))


def test_a_section_ends_after_its_start() -> None:
    source = {"url": "a.wav", "start": 5, "end": 5}
    assert "end (5) must be after start (5)" in error(config(ada={"sources": [source]}))


def test_a_proxy_with_a_password_is_refused_without_showing_it() -> None:
    for proxy in ("http://me:hush@e.org:8080", "me:hush@e.org:8080"):
        told = error(config(download={"proxy": proxy}))
        assert "download.proxy" in told and "DOWNLOAD_PROXY in the environment" in told
        assert "hush" not in told
    assert resolve(config(download={"proxy": "socks5://e.org:1080"}), environment={})


def test_access_is_checked() -> None:
    assert "download.rate_limit is 'fast'" in error(config(download={"rate_limit": "fast"}))
    assert "write [e.org]" in error(config(download={"allow_hosts": "e.org"}))
    assert "download.max_mb is 0" in error(config(download={"max_mb": 0}))


def laid(environment: dict[str, str], first: tuple[str, ...] = (), **access: Any) -> dict[str, str]:
    """What a job finds in its environment."""
    keys = [f"download.{name}" for name in first]
    lay(resolve(config(download=access), environment={}).sections(), environment, keys)
    return environment


def test_access_travels_by_environment_into_containers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cookies.txt").touch()
    found = laid(
        {},
        cookies="cookies.txt",
        allow_hosts=["a", "b"],
        folders=["talks", "/x"],
        sleep=1.5,
        max_seconds=99,
    )
    expected = {
        "DOWNLOAD_COOKIES": str(tmp_path / "cookies.txt"),
        "DOWNLOAD_ALLOW_HOSTS": "a,b",
        "DOWNLOAD_FOLDERS": f"{tmp_path / 'talks'}{os.pathsep}/x",
        "DOWNLOAD_SLEEP": "1.5",
        "DOWNLOAD_MAX_SECONDS": "99",
    }
    expected |= {f"APPTAINERENV_{name}": value for name, value in expected.items()}
    assert expected.items() <= found.items()
    assert not any("PROXY" in name for name in found), "nobody has set one"


def test_the_environment_and_dotenv_go_before_the_file_but_not_before_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("DOWNLOAD_SLEEP=3\nDOWNLOAD_USER_AGENT=dotenv\n")
    given = {"DOWNLOAD_USER_AGENT": "me", "DOWNLOAD_PROXY": "http://me:hush@e.org"}
    found = laid(given, sleep=1, user_agent="file", proxy="http://e.org", rate_limit="5K")
    assert found["DOWNLOAD_SLEEP"] == found["APPTAINERENV_DOWNLOAD_SLEEP"] == "3"
    assert found["DOWNLOAD_USER_AGENT"] == found["APPTAINERENV_DOWNLOAD_USER_AGENT"] == "me"
    assert found["APPTAINERENV_DOWNLOAD_PROXY"] == "http://me:hush@e.org"
    assert found["DOWNLOAD_RATE_LIMIT"] == "5K"
    found = laid({"DOWNLOAD_SLEEP": "2"}, ("sleep", "user_agent"), sleep=1, user_agent="")
    assert found["DOWNLOAD_SLEEP"] == "1"
    assert found["DOWNLOAD_USER_AGENT"] == ""


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"DOWNLOAD_COOKIES": "none.txt"}, "none.txt is no file; write the cookies"),
        ({"DOWNLOAD_MAX_MB": "many"}, "DOWNLOAD_MAX_MB is 'many': Input should be a valid number"),
        ({"DOWNLOAD_RATE_LIMIT": "fast"}, "DOWNLOAD_RATE_LIMIT is 'fast'"),
    ],
)
def test_an_unusable_variable_is_told_once_at_the_start(
    environment: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        lay(sections_in({}), environment)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_paths_of_other_machines_stay_as_they_are() -> None:
    environment: dict[str, str] = {}
    lay(sections_in({"download": {"cookies": "there.txt"}}), environment, elsewhere=True)
    assert environment["DOWNLOAD_COOKIES"] == "there.txt"


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
    assert made.models.tts == "models/csm-micro"
