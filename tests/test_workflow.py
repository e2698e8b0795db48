"""The workflow: its files connect, it reruns what changed, one bad source stops nobody else."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import stubs
import warm
import yaml

from vc_download.failures import MENDS, Reason
from voice_pipeline import recordings
from voice_pipeline.settings import resolve
from voice_pipeline.workflow import Plan

ROOT = Path(__file__).parent.parent
Run = Callable[..., subprocess.CompletedProcess[str]]

CONFIG: dict[str, Any] = {
    "voices": {
        "ada": {
            "consent": "Ada Example, written, 2026-01-10",
            "reference": {"source": "talk-1", "start": 1, "end": 9},
            "sources": [
                {"id": "talk-1", "url": "talk one.wav", "licence": "CC0-1.0"},
                "https://example.org/talk-2.mp4",
            ],
            "demo_text": ["It's a sentence, with a quote.", "Another."],
        },
        "bob": {"consent": "Bob Example, signed", "sources": ["https://example.org/bob.ogg"]},
    }
}


@pytest.fixture(scope="module")
def server() -> Iterator[warm.Warm]:
    """What starts Snakemake; how that starts without it is seen in test_front_door.py."""
    with warm.serve("snakemake.cli", "voice_pipeline.workflow") as up:
        yield up


@pytest.fixture(scope="module")
def stages() -> Iterator[warm.Warm]:
    """What starts the stubs. A server of its own: one with less in it forks sooner."""
    with stubs.serve() as up:
        yield up


@pytest.fixture
def snakemake(tmp_path: Path, server: warm.Warm, stages: warm.Warm) -> Run:
    """Runs Snakemake in a folder of its own, with stubs in place of the stages."""
    commands = tmp_path / "commands"
    commands.mkdir()
    stubs.install(commands, stages)
    (tmp_path / "talk one.wav").write_text("audio")

    def run(*options: str, config: dict[str, Any] = CONFIG, **environment: str) -> Any:
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
        command = server.command("snakemake.cli:main", "--snakefile", str(ROOT / "Snakefile"))
        command += ["--cores", "4", *options]
        path = f"{commands}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PATH": path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def arguments(folder: Path) -> dict[str, str]:
    return dict(yaml.safe_load((folder / "arguments.json").read_text()))


def test_the_whole_workflow_and_nothing_to_do_after(snakemake: Run, tmp_path: Path) -> None:
    done = snakemake()
    assert done.returncode == 0, done.stderr + done.stdout
    results = tmp_path / "results"
    assert (results / "report.html").is_file()
    for voice, sources in (("ada", ["talk-1", "talk-2"]), ("bob", ["bob"])):
        for source in sources:
            work = tmp_path / "work" / voice / source
            names = {path.name for path in work.iterdir()}
            assert {"source.wav", "source.json", "vocals.flac", "words.jsonl"} <= names
            assert (results / voice / "clips" / source).is_dir()
        for name in ("dataset", "prepared.parquet", "adapter", "scores.json", "evaluation"):
            assert (results / voice / name).exists()
    assert (results / "ada" / "speech").is_dir()
    assert not (results / "bob" / "speech").exists(), "bob has no demo_text"
    said = arguments(results / "ada" / "speech")
    assert "It's a sentence, with a quote." in said["text"]
    assert arguments(results / "ada" / "dataset")["consent"] == "Ada Example, written, 2026-01-10"
    assert arguments(results / "ada" / "clips" / "talk-1")["licence"] == "CC0-1.0"
    resolved = yaml.safe_load((results / "run_config.yaml").read_text())
    assert resolved["train"]["max_steps"] == 1000
    again = snakemake()
    assert "Nothing to be done" in again.stderr + again.stdout


def test_a_changed_setting_reruns_what_depends_on_it_alone(snakemake: Run, tmp_path: Path) -> None:
    assert snakemake().returncode == 0
    plan = snakemake("--dry-run", config={**CONFIG, "train": {"max_steps": 7}})
    jobs = {line.split()[0] for line in plan.stdout.splitlines() if line[:1].isalpha()}
    assert {"train", "synthesize", "evaluate", "report"} <= jobs
    assert not {"download", "separate", "encode", "dataset"} & jobs
    # Neither where something is computed nor how often it is saved changes what comes out.
    how = {
        **{stage: {"device": "cpu"} for stage in ("separate", "transcribe", "encode", "evaluate")},
        "train": {"device": "cpu", "checkpoint_every": 7, "log_every": 3},
    }
    assert "Nothing to be done" in snakemake("--dry-run", config={**CONFIG, **how}).stdout
    # What is learnt from does.
    plan = snakemake("--dry-run", config={**CONFIG, "dataset": {"duplicates": False}})
    assert "--no-duplicates" in plan.stdout
    jobs = {line.split()[0] for line in plan.stdout.splitlines() if line[:1].isalpha()}
    assert {"dataset", "encode", "train"} <= jobs and "curate" not in jobs


def test_a_changed_recording_is_read_again(snakemake: Run, tmp_path: Path) -> None:
    assert snakemake().returncode == 0
    (tmp_path / "talk one.wav").write_text("another recording")
    plan = snakemake("--dry-run", "--quiet", "rules")
    assert "download" in snakemake("--dry-run").stdout, plan.stdout


def test_a_correction_makes_the_clips_of_its_voice_anew(snakemake: Run, tmp_path: Path) -> None:
    table = tmp_path / "corrections.tsv"
    table.write_text("clip\ttext\tkeep\n")
    voices = CONFIG["voices"]
    config = {"voices": {**voices, "ada": {**voices["ada"], "corrections": str(table)}}}
    done = snakemake(config=config)
    assert done.returncode == 0, done.stderr + done.stdout
    said = arguments(tmp_path / "results" / "ada" / "clips" / "talk-1")
    assert said["corrections"] == str(table)
    assert "Nothing to be done" in snakemake("--dry-run", config=config).stdout
    table.write_text("clip\ttext\tkeep\ntalk-1-00001000\tBetter.\tyes\n")
    plan = snakemake("--dry-run", config=config).stdout
    counts = dict(line.split()[:2] for line in plan.splitlines() if len(line.split()) == 2)
    assert counts["curate"] == "2", "both of ada's sources, none of bob's"
    assert "segment" not in counts


def test_order_of_settings(snakemake: Run, tmp_path: Path) -> None:
    config = {**CONFIG, "train": {"max_steps": 5, "batch_size": 3}}
    done = snakemake(
        "--config",
        "train={batch_size: 6}",
        "--until",
        "train",
        config=config,
        DEFAULT_MAX_STEPS="50",
        DEFAULT_BATCH_SIZE="4",
    )
    assert done.returncode == 0, done.stderr + done.stdout
    said = arguments(tmp_path / "results" / "bob" / "adapter")
    assert said["max_steps"] == "50", "the environment goes before the file"
    assert said["batch_size"] == "6", "the command line goes before the environment"


def with_sources(*urls: Any) -> dict[str, Any]:
    return {
        "voices": {"ada": {"consent": "yes", "sources": ["https://example.org/good.mp4", *urls]}}
    }


def test_one_bad_source_does_not_stop_the_others(snakemake: Run, tmp_path: Path) -> None:
    config = with_sources("https://example.org/broken.mp4", "https://example.org/fine.mp4")
    first = snakemake("--keep-going", config=config)
    assert first.returncode != 0
    assert "ada/broken: download: https://example.org/broken.mp4: HTTP 404" in first.stderr
    assert (tmp_path / "results" / "ada" / "clips" / "fine").is_dir()
    assert not (tmp_path / "results" / "ada" / "clips" / "broken").exists()
    second = snakemake("--keep-going", config=config)
    assert second.returncode == 0, second.stderr
    assert "passing over ada/broken" in second.stderr
    clips = arguments(tmp_path / "results" / "ada" / "dataset")["clips"]
    assert "clips/fine" in clips
    assert "clips/broken" not in clips
    assert (tmp_path / "work" / "ada" / "broken" / "source.wav.failed.json").is_file()


def asked_of(folder: Path, source: str) -> list[dict[str, str]]:
    """What the downloads of one of ada's sources were asked, one after the other."""
    lines = (folder / "work" / "ada" / source / "downloads.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def failures_in(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / "results" / "failures.json").read_text())["failures"])


def test_failures_are_told_in_a_file_with_reason_and_mend(snakemake: Run, tmp_path: Path) -> None:
    urls = [f"https://example.org/{name}.mp4" for name in ("broken", "offline")]
    first = snakemake("--until", "download", config=with_sources(*urls))
    assert first.returncode != 0
    broken, offline = failures_in(tmp_path)
    assert broken.pop("time")
    assert broken == {
        "voice": "ada",
        "source": "broken",
        "url": urls[0],
        "stage": "download",
        "exit_code": 3,
        "reason": "not_found",
        "message": f"{urls[0]}: HTTP 404 (not_found); {MENDS[Reason.NOT_FOUND]}",
        "mend": MENDS[Reason.NOT_FOUND],
        "record": "work/ada/broken/source.wav.failed.json",
    }
    assert (offline["source"], offline["exit_code"], offline["reason"]) == (
        "offline",
        75,
        "network",
    )
    assert (tmp_path / broken["record"]).is_file()
    good = snakemake("--until", "download", config=with_sources())
    assert good.returncode == 0, good.stderr
    assert failures_in(tmp_path) == []
    assert not list((tmp_path / "results").glob(".partial-*"))


def test_a_download_is_tried_three_times_and_told_which_try_it_is(
    snakemake: Run, tmp_path: Path
) -> None:
    config = with_sources("https://example.org/offline.mp4")
    done = snakemake("--until", "download", config=config)
    assert done.returncode != 0
    assert [asked["attempt"] for asked in asked_of(tmp_path, "offline")] == ["1", "2", "3"]
    assert [asked["attempt"] for asked in asked_of(tmp_path, "good")] == ["1"]
    assert "ada/offline: download: https://example.org/offline.mp4: no connection" in done.stderr
    assert "Run the same command again" in done.stderr


def test_a_job_on_a_cluster_leaves_the_retries_to_who_sent_it() -> None:
    config = resolve(CONFIG, environment={})
    assert (Plan(config).retries, Plan(config, within=True).retries) == (2, 0)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        (("--resources", "downloads=1"), 1),
        (("--workflow-profile", "none", "--resources", "downloads=2"), 2),
        ((), 4),
    ],
    ids=["given", "without a profile", "default profile"],
)
def test_so_many_downloads_run_at_once(
    snakemake: Run, tmp_path: Path, options: tuple[str, ...], most: int
) -> None:
    config = with_sources(*[f"https://example.org/talk-{n}.mp4" for n in range(7)])
    done = snakemake(
        *("--cores", "8", "--until", "download", *options), config=config, STUB_SECONDS="0.3"
    )
    assert done.returncode == 0, done.stderr
    running = [
        int(asked["running"])
        for folder in (tmp_path / "work" / "ada").iterdir()
        for asked in asked_of(tmp_path, folder.name)
    ]
    assert len(running) == 8
    assert max(running) <= most


@pytest.mark.parametrize("profile", ["default", "slurm", "kubernetes"])
def test_every_profile_limits_the_downloads(profile: str) -> None:
    told = yaml.safe_load((ROOT / "profiles" / profile / "config.yaml").read_text())
    assert "downloads=4" in told["resources"]


def test_how_to_get_at_recordings_reaches_the_jobs_and_is_written_nowhere(
    snakemake: Run, tmp_path: Path
) -> None:
    (tmp_path / "cookies.txt").touch()
    (tmp_path / ".env").write_text("DOWNLOAD_USER_AGENT=someone-quiet\n")
    access = {"cookies": "cookies.txt", "sleep": 1.5}
    proxy = "http://me:hush@127.0.0.1:9"
    config = {**with_sources(), "download": access}
    command = ("--printshellcmds", "--until", "download")
    done = snakemake(*command, config=config, DOWNLOAD_PROXY=proxy)
    assert done.returncode == 0, done.stderr
    asked = asked_of(tmp_path, "good")[0]
    for prefix in ("", "APPTAINERENV_"):
        assert asked[f"{prefix}DOWNLOAD_PROXY"] == proxy
        assert asked[f"{prefix}DOWNLOAD_USER_AGENT"] == "someone-quiet"
        assert asked[f"{prefix}DOWNLOAD_COOKIES"] == str(tmp_path / "cookies.txt")
        assert asked[f"{prefix}DOWNLOAD_SLEEP"] == "1.5"
    (tmp_path / "work" / "ada" / "good" / "downloads.jsonl").unlink()
    (tmp_path / ".env").unlink()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    said = [done.stdout, done.stderr, *(path.read_text("utf-8", "replace") for path in written)]
    assert not [text for text in said if "hush" in text or "someone-quiet" in text]


def test_how_to_get_at_recordings_reruns_nothing_and_what_is_got_does(
    snakemake: Run, tmp_path: Path
) -> None:
    source = {"id": "talk", "url": "https://example.org/talk.mp4", "start": 12.5, "end": 90}
    config = {**with_sources(source)}
    assert snakemake("--until", "download", config=config).returncode == 0
    asked = asked_of(tmp_path, "talk")[0]
    assert (asked["start"], asked["end"], asked["captions"]) == ("12.5", "90.0", "people")
    assert asked_of(tmp_path, "good")[0]["start"] == "None"
    for download, jobs in (({"sleep": 9, "max_mb": 5}, "0"), ({"captions": "any"}, "2")):
        plan = snakemake(
            *("--dry-run", "--until", "download"), config={**config, "download": download}
        )
        rows = [line.split() for line in plan.stdout.splitlines()]
        counts = {row[0]: row[1] for row in rows if len(row) == 2}
        assert counts.get("download", "0") == jobs


def test_missing_cookies_are_one_line_and_3(snakemake: Run, tmp_path: Path) -> None:
    done = snakemake(config={**with_sources(), "download": {"cookies": "none.txt"}})
    assert done.returncode == 3
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Using ")]
    assert len(lines) == 1 and f"{tmp_path / 'none.txt'} is no file" in lines[0]


def test_the_report_is_told_of_failures_and_stages(snakemake: Run) -> None:
    plan = snakemake("--dry-run", "--printshellcmds")
    assert "--failures results/failures.json" in plan.stdout
    assert "--stages results/stages.json" in plan.stdout


def test_the_stages_are_told_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Plan(resolve(CONFIG, environment={})).start()
    told = json.loads(Path("results/stages.json").read_text())
    names = [row["name"] for row in told]
    assert names[:3] == ["download", "separate", "reference"] and names[-1] == "report"
    assert {row["about"] for row in told if row["name"] in ("curate", "dataset")} == {
        "source",
        "voice",
    }


def test_one_recording_under_two_urls_is_told_at_the_end(snakemake: Run, tmp_path: Path) -> None:
    urls = [f"https://example.org/{name}.mp4" for name in ("same-1", "other", "same-2")]
    done = snakemake("--until", "download", config=with_sources(*urls))
    assert done.returncode == 0, done.stderr
    assert "ada: the same recording is there twice: same-2 as same-1" in done.stderr


@pytest.mark.parametrize(
    ("facts", "twins"),
    [
        ([{"original": {"sha256": "a"}}, {"original": {"sha256": "b"}}], {}),
        ([{"audio": {"sha256": "a"}}, {"audio": {"sha256": "a"}}], {"1": "0"}),
        (
            [
                {"original": {"sha256": "a"}, "section": {"start": 0, "end": 60}},
                {"original": {"sha256": "a"}, "section": {"start": 60, "end": None}},
                {"original": {"sha256": "a"}, "section": {"start": 50, "end": 70}},
            ],
            {"2": "0"},
        ),
        ([{"original": {"sha256": "a"}, "section": None}] * 3, {"1": "0", "2": "0"}),
        ([None, {}, {"audio": None, "original": {}}], {}),
    ],
    ids=["different", "audio", "sections that overlap", "originals", "nothing known"],
)
def test_recordings_are_the_same_by_checksum_and_section(
    tmp_path: Path, facts: list[Any], twins: dict[str, str]
) -> None:
    for number, told in enumerate(facts):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "source.json").write_text(json.dumps(told))
    names = [str(number) for number in range(len(facts) + 1)]
    assert recordings.same(tmp_path, names) == twins


def test_fifty_failures_are_told_by_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [(3, "private", "ask its owner")] * 30 + [(75, "network", "check the cable")] * 18
    rows += [(3, "live", "wait for its end")] * 2
    for number, (code, reason, mend) in enumerate(rows):
        told = {"stage": "download", "exit_code": code, "message": f"https://e.org/{number}: no"}
        record = Path("work/ada") / f"talk-{number}" / "source.wav.failed.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({**told, "reason": reason, "mend": mend, "time": "now"}))
    Path("work/ada/fine").mkdir()
    Path("work/ada/talk-49/source.wav.failed.json").write_text("{")
    sources = [{"id": f"talk-{n}", "url": f"https://e.org/{n}"} for n in range(50)]
    config = {"voices": {"ada": {"consent": "yes", "sources": [*sources, "fine.wav"]}}}
    Plan(resolve(config, environment={})).finish(good=False)
    said = capsys.readouterr().err
    assert "talk-9 and 20 more: 30 at download: private (ask its owner)" in said
    assert "talk-39 and 8 more: 18 at download: network (check the cable)" in said
    assert "ada/talk-48: download: https://e.org/48: no" in said
    assert "talk-49/source.wav.failed.json: cannot be read" in said
    assert said.count("ask its owner") == said.count("check the cable") == 1
    assert "Each with its reason: results/failures.json" in said
    assert len(said.splitlines()) < 10
    assert len(failures_in(tmp_path)) == 50
    Plan(resolve(config, environment={})).start()
    said = capsys.readouterr().err
    assert "passing over ada/talk-0, ada/talk-1" in said
    assert "cable" not in said, "passing trouble is not passed over"
    assert len(said.splitlines()) < 10


def test_passing_trouble_is_tried_again(snakemake: Run, tmp_path: Path) -> None:
    config = with_sources("https://example.org/offline.mp4")
    assert snakemake("--keep-going", config=config).returncode != 0
    second = snakemake("--keep-going", config=config)
    assert second.returncode != 0
    assert "passing over" not in second.stderr


def test_a_voice_whose_sources_all_failed_says_why(snakemake: Run) -> None:
    config = {"voices": {"ada": {"consent": "yes", "sources": ["https://e.org/broken.mp4"]}}}
    for _ in range(2):
        done = snakemake("--keep-going", config=config)
        assert done.returncode != 0
        assert "HTTP 404" in done.stderr


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"voices": {}}, "config: voices"),
        ({"voices": {"ada": {"consent": "x", "sources": []}}}, "has no sources"),
        ({"voices": {"ada": {"sources": ["a.wav"]}}}, "voices.ada.consent is missing"),
        (
            {"voices": {"ada": {"consent": "x", "sources": ["a.wav"]}}, "trian": {}},
            "trian is not a key of the configuration; did you mean 'train'?",
        ),
    ],
    ids=["no voices", "empty voice", "no consent", "unknown key"],
)
def test_a_bad_configuration_is_one_line_and_3(
    snakemake: Run, tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    done = snakemake("--dry-run", config=config)
    assert done.returncode == 3
    assert said in done.stderr
    # Snakemake names the profile it uses; ours is the one line after it.
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Using ")]
    assert len(lines) == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("profile", ["default", "slurm", "kubernetes"])
def test_every_profile_dry_runs(snakemake: Run, profile: str) -> None:
    folder = str(ROOT / "profiles" / profile)
    done = snakemake("--dry-run", "--workflow-profile", folder)
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"Using workflow specific profile {folder} for" in done.stderr, "alone, or limits add up"


@pytest.mark.parametrize(("gpu", "partition"), [(0, "cpu"), (1, "gpu"), (4, "gpu")])
def test_slurm_sends_a_job_where_its_gpus_are(gpu: int, partition: str) -> None:
    from snakemake_executor_plugin_slurm import partitions

    known = partitions.read_partition_file(ROOT / "profiles" / "slurm" / "partitions.yaml")
    resources = {"mem_mb": 8000, "runtime": 120, **({"gpu": gpu} if gpu else {})}
    job: Any = SimpleNamespace(name="train", threads=8, resources=resources)
    assert partitions.get_best_partition(known, job, logging.getLogger()) == partition


def test_every_rule_has_log_threads_resources_and_container() -> None:
    for rules in (ROOT / "stages").glob("*/rules.smk"):
        text = rules.read_text()
        for directive in ("log:", "threads:", "resources:", "container:", "mem_mb=", "runtime="):
            assert directive in text, f"{rules}: no {directive}"
        stage = rules.parent.name
        for words in (f'PLAN.options("{stage}")', f'PLAN.how("{stage}")'):
            assert words in text, f"{rules}: no {words}"
        for words in ("{params.options:q}", "{params.how:q}"):
            assert words in text, f"{rules}: no {words}"
        assert "lookup(" not in text, f"{rules}: options come from options.py"
        assert "partition" not in text, f"{rules}: clusters belong into profiles"


def test_the_commands_start_at_once(tmp_path: Path) -> None:
    for rules in (ROOT / "stages").glob("*/rules.smk"):
        stage = rules.parent.name
        code = f"import sys, vc_{stage}.cli as c; c.build_parser().format_help(); "
        code += "heavy = {'torch', 'transformers', 'datasets', 'matplotlib', 'scipy', 'librosa'}; "
        code += "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{stage} imports {done.stderr}"
