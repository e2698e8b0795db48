"""The workflow downloads what can be had, says why the rest cannot, and asks again only where it
helps: the real vc-download on a web site with every kind of fault.

It is forked from a process that has yt-dlp loaded, since it is started dozens of times.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import loopback
import numpy as np
import pytest
import refused
import soundfile
import warm
import yaml
from loopback import Answer, Site

ROOT = Path(__file__).parent.parent
ATTEMPTS = 3
RETRY_AFTER = 3.0  # seconds
SECONDS = 2.0
LIMIT = 300.0  # seconds after which the workflow hangs


@dataclass(frozen=True)
class Source:
    """A source of the voice, and the reason for which it fails; None where it arrives."""

    url: str
    reason: str | None = None
    passing: bool = False  # another try might have helped


def tone(pitch: float, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    time = np.arange(round(SECONDS * 16_000)) / 16_000
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * pitch * time), 16_000, subtype, format=kind)
    return file.getvalue()


def good(site: Site) -> dict[str, Source]:
    """Recordings that arrive, some of them not at the first try; one is there twice."""
    twin = Answer(200, tone(220), "audio/x-wav")
    late = Answer(200, tone(280), "audio/x-wav")
    answers = {
        "plain.wav": (Answer(200, tone(200), "audio/x-wav"),),
        "first.wav": (twin,),
        "again.wav": (twin,),
        "chunked.flac": (Answer(200, tone(240, "FLAC"), "audio/flac", framing="chunked"),),
        "moved.ogg": (loopback.redirect("/new.ogg"),),
        **refused.passing_trouble(late, RETRY_AFTER),
    }
    site.add("/new.ogg", Answer(200, tone(260, "OGG", "VORBIS"), "audio/ogg", ranges=False))
    return {
        path.partition(".")[0]: Source(site.add(f"/{path}", *those))
        for path, those in answers.items()
    }


def bad(site: Site) -> dict[str, Source]:
    """Every kind of fault, with the reason that it has."""
    wav = tone(400)
    for path in ("/one.wav", "/two.wav"):
        site.add(path, Answer(200, wav, "audio/x-wav"))
    return {
        name: Source(fault.url or site.add(f"/{name}", *fault.answers), fault.reason, fault.passing)
        for name, fault in refused.faults(wav, tone(420, "MP3", "MPEG_LAYER_III")).items()
    }


@dataclass(frozen=True)
class Ran:
    """What a run of the workflow left, on a site that it found as ``sources`` say."""

    site: Site
    sources: dict[str, Source]
    folder: Path
    code: int
    said: str

    def of(self, name: str) -> Path:
        return self.folder / "work" / "ada" / name

    def asked(self, name: str) -> list[loopback.Request]:
        return self.site.asked(self.sources[name].url.removeprefix(self.site.url))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("workflow")
    commands = tmp_path_factory.mktemp("commands")
    with Site() as site, warm.serve("vc_download.cli", "vc_download.web") as server:
        server.install(commands / "vc-download", "vc_download.cli:main")
        sources = good(site) | bad(site)
        rows = [{"id": name, "url": source.url} for name, source in sources.items()]
        voice = {"consent": "Ada Example, written, 2026-01-10", "sources": rows}
        (folder / "config.yaml").write_text(yaml.safe_dump({"voices": {"ada": voice}}))
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        done = subprocess.run(
            [*command, "--cores", "6", "--resources", "downloads=6", "--until", "download"],
            cwd=folder,
            env={
                **os.environ,
                "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
                "DOWNLOAD_ALLOW_HOSTS": "127.0.0.1",
                "DOWNLOAD_RETRY_WAIT": "0.2",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
        )
        yield Ran(site, sources, folder, done.returncode, done.stderr)


def failures(ran: Ran) -> dict[str, dict[str, Any]]:
    told = json.loads((ran.folder / "results" / "failures.json").read_text("utf-8"))
    return {row["source"]: row for row in told["failures"]}


def test_every_good_source_arrives_and_no_other(ran: Ran) -> None:
    for name, source in ran.sources.items():
        left = {path.name for path in ran.of(name).iterdir()}
        if source.reason:
            assert left == {"source.wav.failed.json"}, name
            continue
        assert left == {"source.wav", "source.json", "source.wav.run.json"}, name
        found = soundfile.info(ran.of(name) / "source.wav")
        assert found.duration == pytest.approx(SECONDS, abs=0.05), name
        assert found.samplerate == 44_100
        told = json.loads((ran.of(name) / "source.json").read_text("utf-8"))
        assert told["url"] == source.url


def test_every_bad_source_is_told_with_its_reason_and_its_mend(ran: Ran) -> None:
    assert ran.code != 0
    told = failures(ran)
    wanted = {name: source.reason for name, source in ran.sources.items() if source.reason}
    assert {name: row["reason"] for name, row in told.items()} == wanted
    for name, row in told.items():
        source = ran.sources[name]
        assert row["exit_code"] == (75 if source.passing else 3), name
        assert row["url"] == source.url
        assert row["url"] in row["message"]
        assert row["mend"] in row["message"]
        assert len(row["message"].splitlines()) == 1


def test_what_another_try_may_mend_is_asked_for_again(ran: Ran) -> None:
    assert [request.status for request in ran.asked("busy")][:3] == [503, 503, 200]
    assert len(ran.asked("down")) >= ATTEMPTS
    for name in ("patient", "dated"):
        first, second, *_ = ran.asked(name)
        assert [first.status, second.status] == [429, 200]
        # A date in HTTP has whole seconds.
        assert second.time - first.time >= RETRY_AFTER - 1, "not before the site wants it"


def test_what_nothing_but_a_mend_helps_is_not_asked_for_again(ran: Ran) -> None:
    for name, source in ran.sources.items():
        if source.reason and not source.passing and name not in ("private", "circle"):
            # Once to see what it is, once for the recording; a playlist is read more often.
            most = 5 if name in ("passwd", "inside", "match") else 2
            assert 1 <= len(ran.asked(name)) <= most, name


def test_a_recording_under_two_urls_is_pointed_out(ran: Ran) -> None:
    assert "the same recording is there twice: again as first" in ran.said
