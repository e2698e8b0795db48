"""The page is whole: it plays, its seconds add up, it names what failed, it loads nothing."""

import base64
import dataclasses
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from vc_core import manifests
from vc_report import charts, cli, page

RATE = 24_000
SECONDS = 75.5
LEDGER = [
    manifests.LedgerRow(0.0, 4.25, False, "silence"),
    manifests.LedgerRow(4.25, 31.5, True, "", "talk-0001"),
    manifests.LedgerRow(31.5, 40.0, False, "other_speaker"),
    manifests.LedgerRow(40.0, 62.0, True, "", "talk-0002"),
    manifests.LedgerRow(62.0, SECONDS, False, "music"),
]
EVIL = 'He said <script>alert("x")</script> & left'
VARIANTS = {
    "base": "Base", "base+context": "Base + context", "lora": "LoRA",
    "lora+context": "LoRA + context",
}  # fmt: skip
NOTICE = "This base model proves the mechanics; for a <real> voice take another."


class Page(HTMLParser):
    """What a browser would load and show."""

    void = frozenset({"meta", "link", "br", "img", "rect", "line", "circle", "polyline"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.shown = ""
        self.feed(text)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.shown += data

    @property
    def words(self) -> str:
        """What is shown, as one line."""
        return " ".join(self.shown.split())

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def sounds(self) -> list[tuple[np.ndarray, int]]:
        prefix = "data:audio/mpeg;base64,"
        sources = [str(player["src"]) for player in self.named("audio")]
        assert all(source.startswith(prefix) for source in sources)
        return [
            soundfile.read(io.BytesIO(base64.b64decode(source.removeprefix(prefix))))
            for source in sources
        ]


def tone(path: Path, seconds: float, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * 220 * time), rate, subtype="PCM_16")


def put(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def record(path: Path, stage: str, started: str = "2026-01-10T10:00:00+0000") -> None:
    put(
        path.with_name(path.name + ".run.json"),
        {
            "stage": stage,
            "started": started,
            "seconds": 12.5,
            "cpu_seconds": 20.0,
            "peak_memory_mb": 321.0,
            "device": "cpu",
            "parameters": {"model": "some-model"},
            "figures": {"count": 3},
            "versions": {"python": "3.11.9", f"vc-{stage}": "0.1.0"},
        },
    )


def clip(number: int, text: str, seconds: float) -> manifests.Clip:
    name = f"talk-{number:04d}"
    return manifests.Clip(
        clip=name, file_name=f"{name}.flac", text=text, voice="ada", source="talk",
        start=4.25, end=4.25 + seconds, seconds=seconds, language="en", licence="CC0-1.0",
        similarity=0.81, confidence=0.93, dnsmos=3.2, loudness=-20.0,
    )  # fmt: skip


def config(results: Path, base_model: str = "models/csm-micro") -> None:
    sources = [
        {"id": "talk", "url": "https://example.org/talk", "licence": "CC0-1.0"},
        {"id": "gone", "url": "javascript:alert(1)", "licence": "CC0-1.0"},
    ]
    voice = {"consent": "Ada Example, written", "language": "en", "sources": sources}
    # JSON is YAML, too.
    put(results / "run_config.yaml", {"voices": {"ada": voice}, "models": {"tts": base_model}})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A whole run of one voice, one of whose two sources failed."""
    results, source = tmp_path / "results", tmp_path / "work" / "ada" / "talk"
    voice = results / "ada"
    config(results)
    put(source / "source.json", {"title": "A talk", "url": "https://example.org/talk"})
    record(source / "vocals.flac", "separate")
    put(
        tmp_path / "work/ada/gone/source.wav.failed.json",
        {"stage": "download", "exit_code": 75, "message": "answered 404 <gone>", "time": "now"},
    )
    tone(voice / "reference/reference.wav", 3.0, 44_100)
    put(voice / "reference/reference.json", {"seconds": 3.0, "similarity": 0.9})
    manifests.write_rows(voice / "clips/talk/ledger.jsonl", LEDGER)
    clips = [clip(1, EVIL, 2.0), clip(2, "Good morning.", 1.5)]
    manifests.write_rows(voice / "clips/talk/metadata.jsonl", clips)
    for row in clips:
        tone(voice / "clips/talk" / row.file_name, row.seconds)
    (voice / "dataset").mkdir()
    training: list[dict[str, Any]] = [{"step": 0, "seconds": 0.0, "val_loss": 4.0}]
    for step in range(1, 21):
        training.append({"step": step, "loss": 5.0 / step, "seconds": 3.5 * step})
        if step % 5 == 0:
            training[-1]["val_loss"] = 4.0 / step
        if step == 15:
            training[-1] |= {"similarity": 0.81, "wer": 0.07, "stop_rate": 1.0}
            tone(voice / "adapter/samples/step-000015/00.wav", 0.7)
    lines(voice / "adapter/training.jsonl", training)
    told = {"kept_step": 15, "family": "sines", "family_title": "Sine <waves>", "notice": NOTICE}
    put(voice / "adapter/training.json", told)
    record(voice / "adapter", "train")
    tone(voice / "speech/000.wav", 1.0)
    lines(voice / "speech/speech.jsonl", [{"file": "000.wav", "text": "A demo.", "seconds": 1.0}])
    variants = {}
    for name, title in VARIANTS.items():
        file = f"{name.replace('+', '-')}/000.wav"
        tone(voice / "evaluation" / file, 1.25)
        item = {
            "text": EVIL, "clip": "talk-0001", "file": file, "similarity": 0.6, "wer": 1.5,
            "dnsmos": 2.0, "stopped": True, "seconds": 1.25, "heard": "",
        }  # fmt: skip
        variants[name] = {
            "title": title, "similarity": 0.6, "similarity_ci": [0.5, 0.7], "wer": 1.5,
            "dnsmos": 2.0, "stop_rate": 1.0, "real_time_factor": 0.5, "items": [item],
        }  # fmt: skip
    put(
        voice / "scores.json",
        {
            "voice": "ada", "texts": 1, "split": "test", "before": "base", "after": "lora",
            "variants": variants,
            "ceiling": {"similarity": 0.85, "wer": 0.03, "dnsmos": 3.2},
            "floor": {"similarity": 0.5, "dnsmos": 3.1}, "notes": [],
        },
    )  # fmt: skip
    return results


def make(results: Path, *options: str) -> Page:
    output = results / "report.html"
    command = [str(results), "--work", str(results.parent / "work"), "-o", str(output), *options]
    assert cli.main(command) == 0
    return Page(output.read_text("utf-8"))


def test_players_hold_the_audio_of_the_tree(results: Path) -> None:
    sounds = make(results).sounds()
    assert [rate for _, rate in sounds] == [RATE] * len(sounds)
    seconds = [len(samples) / rate for samples, rate in sounds]
    top, rest = [1.25, 1.25, 2.0], [3.0, 2.0, 1.5, 0.7, 1.25, 1.25, 1.25, 1.25, 1.0]
    assert seconds == pytest.approx(top + rest, abs=0.06)
    for samples, rate in sounds:
        assert samples.ndim == 1
        spectrum = np.abs(np.fft.rfft(samples))
        assert np.argmax(spectrum) * rate / len(samples) == pytest.approx(220, abs=2)


def test_nothing_is_loaded_from_elsewhere(results: Path) -> None:
    made = make(results)
    sources = [attributes["src"] or "" for _, attributes in made.tags if "src" in attributes]
    assert all(source.startswith("data:") for source in sources)
    links = [attributes.get("href") or "" for _, attributes in made.tags if "href" in attributes]
    assert [link for link in links if not link.startswith("#")] == ["https://example.org/talk"]
    assert not made.named("link")
    assert "javascript:alert(1)" in made.shown


def test_ledger_in_the_page_covers_the_source(results: Path) -> None:
    marks = [mark for mark in make(results).named("rect") if str(mark["class"]).startswith("r-")]
    assert sum(float(str(mark["width"])) for mark in marks) == pytest.approx(SECONDS)
    kept = sum(float(str(mark["width"])) for mark in marks if mark["class"] == "r-kept")
    assert kept == pytest.approx(49.25)


def test_the_voices_ledger_goes_before_the_sources_own(results: Path) -> None:
    """The dataset leaves out clips that only the whole voice shows to be amiss."""
    twice = manifests.LedgerRow(40.0, 62.0, False, "duplicate", "talk-0002", {"dnsmos": 3.1})
    told = [twice if row.clip == twice.clip else row for row in LEDGER]
    manifests.write_rows(results / "ada/dataset/ledger/talk.jsonl", told)
    made = make(results)
    assert "duplicate (talk-0002, dnsmos 3.1)" in made.shown
    assert "the same recording as another clip" in made.shown
    assert not [
        player for player in made.named("audio") if player["aria-label"] == "Clip talk-0002"
    ]


def test_a_source_without_clips_still_shows_its_ledger(results: Path) -> None:
    rows = [manifests.LedgerRow(0.0, 30.0, False, "low_quality", "gone-1", {"dnsmos": 1.5})]
    manifests.write_rows(results / "ada/clips/gone.ledger.jsonl", rows)
    assert "too noisy or too damaged to learn from" in make(results).shown


def test_text_is_escaped(results: Path) -> None:
    made = make(results)
    assert EVIL in made.shown
    assert len(made.named("script")) == 1


def test_failed_source_is_named_with_its_reason_and_remedy(results: Path) -> None:
    shown = make(results).shown
    assert "ada / gone failed at download: answered 404 <gone>" in shown
    assert "run the workflow again" in shown


def failure(source: str | None, reason: str, **more: Any) -> dict[str, Any]:
    """A row of failures.json, of a record that is elsewhere."""
    return {
        "voice": "ada", "source": source, "url": "https://example.org/x", "stage": "download",
        "exit_code": 3, "reason": reason, "message": f"x: no ({reason}); ask <b>them</b>",
        "mend": "ask <b>them</b>", "time": "now", "record": "elsewhere/source.wav.failed.json",
    } | more  # fmt: skip


def test_failures_file_gives_reason_and_mend(results: Path) -> None:
    put(results / "failures.json", {"failures": [failure("gone", "login_required")]})
    made = make(results, "--failures", str(results / "failures.json"))
    assert "ada / gone failed at download (login required): x: no Ask <b>them</b>; then run" in (
        made.words
    )
    assert not made.named("b"), "the words of a site are no markup"
    assert "answered 404" not in made.words, "the records are not read beside the file"


def test_a_failure_that_may_pass_says_when(results: Path) -> None:
    row = failure("gone", "rate_limited", exit_code=75, retry_at=0, mend="run again later")
    put(results / "failures.json", {"failures": [row]})
    shown = make(results, "--failures", str(results / "failures.json")).words
    assert "Run again later; the site said to come back after" in shown
    assert "voice-clone retry" not in shown


def test_what_was_mended_since_is_no_failure(results: Path) -> None:
    record = results.parent / "work/ada/talk/source.wav.failed.json"
    put(results / "failures.json", {"failures": [failure("talk", "private", record=str(record))]})
    told = ("--failures", str(results / "failures.json"))
    assert "failed at download" not in make(results, *told).words
    put(record, {})
    assert "ada / talk failed at download" in make(results, *told).words


@pytest.mark.parametrize("content", [None, "{", '{"failures": [{}]}', "[]"])
def test_without_a_usable_failures_file_the_records_tell(
    results: Path, content: str | None
) -> None:
    if content is not None:
        (results / "failures.json").write_text(content)
    shown = make(results, "--failures", str(results / "failures.json")).words
    assert "ada / gone failed at download: answered 404 <gone>" in shown


def test_fifty_failures_are_grouped_by_reason(results: Path) -> None:
    names = [f"talk-{number}" for number in range(50)]
    rows = [failure(x, "private" if n % 5 else "live") for n, x in enumerate(names)]
    told = json.loads((results / "run_config.yaml").read_text())
    told["voices"]["ada"]["sources"] += [{"id": name, "url": name} for name in names]
    put(results / "run_config.yaml", told)
    put(results / "failures.json", {"failures": rows})
    made = make(results, "--failures", str(results / "failures.json"))
    assert "50 failures in this run" in made.words
    assert "40 failed at download: private. Ask <b>them</b>; then run voice-clone" in made.words
    assert "10 failed at download: live" in made.words
    assert len(made.named("details")) >= 2
    assert all(f"ada / {name}: x: no" in made.words for name in names)


def test_where_a_source_comes_from_is_shown_and_harmless(results: Path) -> None:
    put(
        results.parent / "work/ada/talk/source.json",
        {
            "title": EVIL, "uploader": EVIL, "upload_date": "20240501", "licence": EVIL,
            "url": "https://example.org/talk?si=1", "canonical_url": "https://example.org/talk",
            "section": {"start": 12, "end": 90},
        },
    )  # fmt: skip
    put(
        results.parent / "work/ada/gone/source.json",
        {"title": "x", "canonical_url": "javascript:alert(2)", "section": {"start": 5}},
    )
    made = make(results)
    assert f"{EVIL}talk · https://example.org/talk · by {EVIL} · 2024-05-01 · from 0:12 to" in (
        made.words
    )
    assert "javascript:alert(2) · from 0:05 on" in made.words
    assert len(made.named("script")) == 1
    assert not [a for a in made.named("a") if "javascript" in str(a["href"])]


@pytest.mark.parametrize(
    ("talk", "gone", "same"),
    [
        ({"audio": {"sha256": "a"}}, {"audio": {"sha256": "a"}}, True),
        ({"original": {"sha256": "a"}}, {"original": {"sha256": "a"}}, True),
        ({"original": {"sha256": "a"}}, {"original": {"sha256": "b"}}, False),
        (
            {"original": {"sha256": "a"}, "section": {"start": 0, "end": 9}},
            {"original": {"sha256": "a"}, "section": {"start": 9, "end": 20}},
            False,
        ),
        ({"original": {"sha256": ""}}, {"original": {"sha256": ""}, "audio": "?"}, False),
    ],
    ids=["audio", "original", "different", "sections apart", "unknown"],
)
def test_the_same_recording_is_named(
    results: Path, talk: dict[str, Any], gone: dict[str, Any], same: bool
) -> None:
    put(results.parent / "work/ada/talk/source.json", talk)
    put(results.parent / "work/ada/gone/source.json", gone)
    assert ("same recording as talk" in make(results).shown) is same


def test_what_a_family_says_of_its_base_model_is_shown(results: Path) -> None:
    """Such as that it is tiny, and its speech noise."""
    made = make(results)
    assert NOTICE in made.shown
    assert "Speaking modelSine <waves>" in made.shown
    put(results / "ada/adapter/training.json", {"kept_step": 15})
    shown = make(results).shown
    assert "proves the mechanics" not in shown
    assert "Speaking model" not in shown
    assert "models/csm-micro" in shown, "the base model that the configuration names"


def test_variants_go_by_their_titles(results: Path) -> None:
    made = make(results)
    assert "LoRA stands at 29 % of the way" in made.words.replace("\N{NO-BREAK SPACE}", " ")
    assert [x for x in made.named("td") if x.get("data-label") == "Base + context"]
    assert "base+context" not in made.shown


def test_scores_that_name_no_variants_to_compare_are_shown(results: Path) -> None:
    """Those of earlier releases have neither titles nor what to compare."""
    path = results / "ada/scores.json"
    told = json.loads(path.read_text())
    del told["before"], told["after"]
    for number, variant in enumerate(told["variants"].values()):
        del variant["title"]
        variant["similarity"] = 0.6 + number / 100
    put(path, told)
    made = make(results)
    assert "0.60→0.63" in made.shown
    assert "lora+context stands at" in made.words
    assert [x for x in made.named("td") if x.get("data-label") == "base+context"]


def judged(results: Path) -> None:
    """Let the scores be those of a family with stock voices, whose checkpoint was chosen."""
    path = results / "ada/scores.json"
    told = json.loads(path.read_text())
    told |= {
        "judge_encoder": "package:ears", "training_encoder": "package:<friend>",
        "copies": {"similarity": 0.82, "training_similarity": 0.93, "wer": 0.04, "place": 0.95},
        "scale": {
            "zero": 0.6, "zero_is": "the stock voice bella", "one": 0.85,
            "one_is": "the speaker's own held-out clips", "stock_voice": "bella",
        },
    }  # fmt: skip
    told["variants"]["base"] |= {"title": "Stock", "place": 0.0, "training_similarity": 0.41}
    told["variants"]["lora"] |= {"similarity": 0.8, "place": 0.8, "training_similarity": 0.91}
    told["ceiling"] |= {"place": 1.0, "training_similarity": 0.95}
    told["floor"] |= {"place": -0.4, "training_similarity": 0.2}
    put(path, told)


def test_before_after_and_the_speaker_stand_side_by_side(results: Path) -> None:
    first = make(results).named("audio")[:3]
    titles = [str(player["aria-label"]).split(":")[:2] for player in first]
    assert titles[0] == ["Before", " Base"] and titles[1] == ["After", " LoRA"]
    assert str(first[2]["aria-label"]) == f"The speaker: {EVIL}"
    judged(results)
    made = make(results)
    assert str(made.named("audio")[0]["aria-label"]).startswith("Before: Stock (bella): ")
    assert "The speaker A recording, held out from training" in made.words
    # Nobody knows where the clip lies: what was spoken is there all the same.
    (results / "ada/clips/talk/metadata.jsonl").unlink()
    assert "The speaker A recording" not in make(results).words


def test_places_stand_on_a_scale_that_is_told_in_words(results: Path) -> None:
    assert "nearest stock voice" not in make(results).words, "there is none in this run"
    judged(results)
    made = make(results)
    for said in (
        "Place: 0 = nearest stock voice, 1 = the speaker's own clips",
        "0 is the stock voice bella, which of all the base model's voices",
        "LoRA stands at 0.80.",
        "0.00→0.80",
    ):
        assert said in made.words
    assert "of the way from floor to ceiling" not in made.words
    (chart,) = [x for x in made.named("svg") if "Similarity" in str(x["aria-label"])]
    assert "0 = nearest stock voice 0.60" in str(chart["aria-label"])
    assert "1 = the speaker's own clips 0.85" in str(chart["aria-label"])
    assert "Copies of the clips 0.82" in str(chart["aria-label"])


def test_both_encoders_are_named_with_what_each_is_for(results: Path) -> None:
    judged(results)
    words = make(results).words
    assert "package:ears judges: nothing was chosen by it" in words
    assert "package:<friend> chose the clips; its similarity stands beside" in words
    told = {"kept_step": 15, "encoder": "package:<friend>"}
    put(results / "ada/adapter/training.json", told)
    made = make(results)
    assert "package:<friend> chose clips and checkpoint" in made.words
    assert "Similarity is by package:<friend>, which so chose the checkpoint" in made.words


def test_score_table_has_the_variants_copies_ceiling_and_floor_in_order(results: Path) -> None:
    judged(results)
    made = make(results)
    table = re.search(r"Figure (.*?) Place on the scale", made.words)
    assert table and table[1] == "Stock Base + context LoRA LoRA + context Copies Ceiling Floor"
    row = re.search(r"Similarity by training's encoder.*? not to judge by\.(.*?)Word", made.words)
    assert row and row[1].split() == ["0.41", "–", "0.91", "–", "0.93", "0.95", "0.20"]


def test_stages_stand_in_the_order_of_the_workflow(results: Path) -> None:
    """A stage that somebody adds has its place, too, and one without a place is the last."""
    source = results.parent / "work/ada/talk"
    for name, stage, started in (
        ("beside.json", "unknown", "2026-01-10T08:00:00+0000"),
        ("denoised.flac", "denoise", "2026-01-10T12:00:00+0000"),
        ("source.wav", "download", "2026-01-10T09:00:00+0000"),
    ):
        record(source / name, stage, started)
    order = [("train", 90), ("download", 10), ("separate", 20), ("denoise", 15)]
    put(
        results / "stages.json",
        [{"name": name, "order": place, "about": "source"} for name, place in order],
    )
    placed = make(results, "--stages", str(results / "stages.json"))
    assert stages(placed) == ["download", "denoise", "separate", "train", "unknown"]
    for told in ([], ["--stages", str(results / "none.json")]):
        as_run = ["unknown", "download", "train", "separate", "denoise"]
        assert stages(make(results, *told)) == as_run
    (results / "stages.json").write_text('{"name": 1}')
    assert stages(make(results, "--stages", str(results / "stages.json"))) == as_run


def stages(made: Page) -> list[str]:
    """The stages of the run records, from top to bottom."""
    return re.findall(r"(\w+)\s*ada: ", made.shown.partition("How it was made")[2])


def test_the_cause_of_a_source_is_its_earliest_stage(results: Path) -> None:
    put(
        results.parent / "work/ada/gone/audio.failed.json",
        {"stage": "segment", "exit_code": 3, "message": "nobody", "time": "before"},
    )
    put(
        results / "stages.json", [{"name": "segment", "order": 2}, {"name": "download", "order": 1}]
    )
    assert "ada / gone failed at segment: nobody" in make(results).words
    placed = make(results, "--stages", str(results / "stages.json")).words
    assert "ada / gone failed at download" in placed
    assert "failed at segment" not in placed


def test_an_unfinished_source_says_how_far_it_came(results: Path) -> None:
    (results.parent / "work/ada/gone/source.wav.failed.json").unlink()
    record(results.parent / "work/ada/gone/source.wav", "download", "2026-01-10T09:00:00+0000")
    record(results.parent / "work/ada/gone/vocals.flac", "separate", "2026-01-10T09:30:00+0000")
    assert "ada / gone is unfinished: it came through separate and no further" in (
        make(results).words
    )


def test_figures_stand_in_summary_and_scores(results: Path) -> None:
    shown = make(results).shown.replace("\N{NO-BREAK SPACE}", " ")
    for said in (
        "floor 0.50 · ceiling 0.85",
        "150 %",
        "Real-time factor",
        "29 % of the way",
        "5.000→0.250",
    ):
        assert said in shown
    assert "4.000→0.267" in shown
    assert "20, the adapter is that of step 15" in shown
    assert "Time1:10" in shown


def test_accessible_names(results: Path) -> None:
    made = make(results)
    assert all(player.get("aria-label") for player in made.named("audio"))
    assert all(svg.get("aria-label") for svg in made.named("svg"))
    assert len(made.named("caption")) == len(made.named("table"))


def test_checkpoints_that_were_listened_to_are_a_table(results: Path) -> None:
    made = make(results)
    assert "Checkpoints that were listened to" in made.shown
    assert "15 (kept)" in made.shown


def test_number_of_clip_players_is_bounded(results: Path) -> None:
    assert len(make(results, "--clips-per-voice", "1").named("audio")) == 11


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("scores.json", None, "No scores: evaluate has not run yet."),
        ("scores.json", "{", "scores.json: not valid JSON"),
        ("adapter/training.jsonl", None, "No training record: train has not run yet."),
        ("clips/talk/metadata.jsonl", "{}\n", "not a Clip row"),
        ("speech/000.wav", None, "cannot be played"),
        ("reference/reference.wav", "no audio", "cannot be played"),
    ],
)
def test_missing_or_broken_part_is_named(
    results: Path, name: str, content: str | None, said: str
) -> None:
    path = results / "ada" / name
    path.unlink()
    if content is not None:
        path.write_text(content, "utf-8")
    assert said in make(results).shown


def test_run_in_which_everything_failed(tmp_path: Path) -> None:
    config(tmp_path / "results")
    (tmp_path / "work").mkdir()
    put(
        tmp_path / "results/ada/reference/reference.wav.failed.json",
        {"stage": "reference", "exit_code": 3, "message": "two speakers", "time": "now"},
    )
    made = make(tmp_path / "results")
    assert "No reference recording: reference failed: two speakers." in made.shown
    assert "ada / talk is unfinished" in made.shown
    assert not made.named("audio")


@pytest.mark.parametrize("content", [None, "voices: [", "voices: {}", "\xff"])
def test_unusable_results_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    if content is not None:
        (results / "run_config.yaml").write_bytes(content.encode("latin-1"))
    output = tmp_path / "report.html"
    assert cli.main([str(results), "--work", str(tmp_path), "-o", str(output)]) == 3
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not output.exists()
    assert not list(tmp_path.glob(".partial*"))


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1, 1000), (3.91, 4.02), (-0.1, 1.0)])
def test_ticks_are_few_and_within(low: float, high: float) -> None:
    found = charts.ticks(low, high)
    assert 3 <= len(found) <= 7
    assert low <= found[0] and found[-1] <= high


def test_clips_are_spread_over_the_sources() -> None:
    clips = [(dataclasses.replace(clip(1, "", 1.0), clip=str(n)), Path()) for n in range(10)]
    assert [row.clip for row, _ in page.spread(clips, 3)] == ["0", "3", "6"]


def test_players_cannot_be_fewer_than_none(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as usage:
        make(results, "--clips-per-voice", "-1")
    assert usage.value.code == 2
    assert "argument --clips-per-voice" in capsys.readouterr().err
