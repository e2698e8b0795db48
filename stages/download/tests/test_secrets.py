"""Tokens and signatures in URLs are used, and told nobody; URLs that are none end in one line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Answer, Site, audio_page, redirect, video_page

from vc_core import errors, files
from vc_download import cli, client

SECRET = "hush"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("DOWNLOAD_ALLOW_HOSTS", "127.0.0.1")
    monkeypatch.setattr(client, "RETRIES", 0)
    with Site() as started:
        yield started


@pytest.fixture
def wav(tone: Path) -> Answer:
    return Answer(200, tone, "audio/x-wav")


def fetch(url: str, folder: Path, *options: str) -> int:
    output = folder / "out" / "source.wav"
    return cli.main([url, "-o", str(output), "--record-failure", *options])


def assert_untold(folder: Path, said: str) -> None:
    assert SECRET not in said
    for path in folder.rglob("*"):
        assert SECRET not in path.name
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("query", [f"v=7&token={SECRET}", f"sig={SECRET}.x", f"s=a/{SECRET}.x"])
@pytest.mark.parametrize("path", ["/talk.wav", "/talk", "/short", "/page"])
def test_a_token_is_used_and_stands_nowhere(
    tmp_path: Path,
    site: Site,
    wav: Answer,
    capfd: pytest.CaptureFixture[str],
    path: str,
    query: str,
) -> None:
    # Without the query there is nothing to be had.
    for name in ("/talk.wav", "/talk"):
        site.add(f"{name}?{query}", wav)
    site.add("/short", redirect(f"{site.url}/talk?{query}"))
    site.add(f"/page?{query}", video_page(f"{site.url}/talk.wav?{query}", {}))
    url = site.url + path + ("" if path == "/short" else f"?{query}")

    assert fetch(url, tmp_path, "--log-level", "DEBUG") == errors.OK
    assert_untold(tmp_path, capfd.readouterr().err)
    told = files.read_json(tmp_path / "out" / "source.json")
    kept = "?v=7" if "v=7" in query else ""
    assert told["url"] == site.url + path + ("" if path == "/short" else kept)
    assert told["canonical_url"] == site.url + path.replace("/short", "/talk") + kept
    assert told["title"] in ("talk", "A talk (1)")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(403), errors.BAD_INPUT),
        (Answer(429), errors.TRY_AGAIN),
        (Answer(200, b"RIFF" * 99, "audio/x-wav", reset=True), errors.TRY_AGAIN),
        (Answer(200, b"words\n" * 99, "audio/x-wav"), errors.BAD_INPUT),
        (redirect(f"ftp://me:{SECRET}@127.0.0.1/a.mp3?token={SECRET}"), errors.BAD_INPUT),
        (redirect(f"http://10.0.0.1/a.mp3?token={SECRET}"), errors.BAD_INPUT),
        (redirect(f"http://[::1/a.mp3?token={SECRET}"), errors.BAD_INPUT),
        (redirect(f"http://site:port/a.mp3?token={SECRET}"), errors.BAD_INPUT),
        (video_page(f"http://[::1/a.mp3?token={SECRET}", {}), errors.BAD_INPUT),
    ],
)
@pytest.mark.parametrize("path", ["/talk.wav", "/talk"])
def test_a_failure_tells_no_token_in_one_line(
    tmp_path: Path,
    site: Site,
    capfd: pytest.CaptureFixture[str],
    path: str,
    answer: Answer,
    code: int,
) -> None:
    site.add(f"{path}?token={SECRET}", answer)
    assert fetch(f"{site.url}{path}?token={SECRET}", tmp_path) == code
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1, said
    assert f"{site.url}{path}: " in said
    assert_untold(tmp_path, said)


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1/a.mp3",
        "http://[::1]:x/a.mp3",
        "http://site:99999/a.mp3",
        "http://",
        "http:///a.mp3",
        "http://a site/a.mp3",
        "http://..:80/a",
        "file://[::1/a.mp3",
    ],
)
def test_what_is_no_url_ends_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], url: str
) -> None:
    assert fetch(url, tmp_path) == errors.BAD_INPUT
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1, said
    assert f"{url}: " in said
    told = files.read_json(tmp_path / "out" / "source.wav.failed.json")
    assert told["reason"] == "unsupported_url"


def test_a_proxy_that_is_no_url_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOWNLOAD_PROXY", f"http://me:{SECRET}@[::1")
    assert fetch("http://site/a.mp3", tmp_path) == errors.BAD_INPUT
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1, said
    assert "download.proxy" in said
    assert_untold(tmp_path, said)


def test_a_list_keeps_what_fetching_needs_and_names_nothing_by_it(
    tmp_path: Path, site: Site, wav: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    talks = [f"{site.url}/{name}.wav?token={SECRET}" for name in ("a", "b")]
    site.add("/a.wav", wav)
    page = site.add(f"/talks?token={SECRET}", audio_page(talks))
    assert cli.main(["list", page]) == errors.OK
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[1] for row in rows] == talks
    assert all(SECRET not in cell for row in rows for cell in (row[0], row[2]))
