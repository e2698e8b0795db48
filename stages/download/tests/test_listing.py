"""vc-download list writes what a page holds as rows that a person can review and edit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import Answer, Site, audio_page, feed

from vc_core import errors
from vc_download import cli, listing


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("DOWNLOAD_ALLOW_HOSTS", "127.0.0.1")
    with Site() as started:
        yield started


def table(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def test_a_feed_becomes_rows(site: Site, tmp_path: Path) -> None:
    urls = [f"{site.url}/{number}.mp3" for number in range(1000)]
    output = tmp_path / "ada.tsv"
    assert cli.main(["list", site.add("/feed.xml", feed(urls)), "-o", str(output)]) == errors.OK
    header, *rows = table(output.read_text("utf-8"))
    assert header == ["id", "url", "title", "seconds", "licence"]
    assert [row[1] for row in rows] == urls
    assert len({row[0] for row in rows}) == 1000
    assert rows[6][2] == "Episode 7"
    # A thousand recordings cost one look at the feed, not a thousand.
    assert len(site.requests) < 5


def test_a_page_of_several_recordings_becomes_rows(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    urls = [f"{site.url}/{name}.wav" for name in ("a", "b", "a")]
    assert cli.main(["list", site.add("/talks.html", audio_page(urls))]) == errors.OK
    rows = table(capsys.readouterr().out)[1:]
    assert [row[1] for row in rows] == urls[:2], "each once"


def test_one_recording_is_a_list_of_one(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    url = site.add("/talk.wav", Answer(200, b"RIFF", "audio/x-wav"))
    assert cli.main(["list", url]) == errors.OK
    assert table(capsys.readouterr().out)[1:] == [["talk", url, "talk", "", ""]]


def test_only_as_many_as_asked_for(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    url = site.add("/feed.xml", feed([f"{site.url}/{n}.mp3" for n in range(9)]))
    assert cli.main(["list", url, "--max", "2"]) == errors.OK
    assert len(table(capsys.readouterr().out)) == 3


@pytest.mark.parametrize(
    ("path", "code", "part"),
    [("/none", errors.BAD_INPUT, "not_found"), ("/empty", errors.BAD_INPUT, "unsupported_url")],
)
def test_what_lists_nothing_leaves_nothing(
    site: Site,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    path: str,
    code: int,
    part: str,
) -> None:
    site.add("/empty", Answer(200, b"<html></html>"))
    output = tmp_path / "ada.tsv"
    assert cli.main(["list", site.url + path, "-o", str(output)]) == code
    assert part in capfd.readouterr().err
    assert not output.exists()


def test_a_local_file_is_no_list(tmp_path: Path) -> None:
    assert cli.main(["list", str(tmp_path), "-o", str(tmp_path / "x")]) == errors.BAD_INPUT


def entry(**more: Any) -> dict[str, Any]:
    return {"_type": "url", "id": "a1", "url": "https://site/a1", "title": "A talk"} | more


@pytest.mark.parametrize(
    ("told", "refused"),
    [
        ({}, ""),
        ({"live_status": "is_live"}, "live"),
        ({"live_status": "is_upcoming"}, "live"),
        ({"live_status": "was_live"}, ""),
        ({"availability": "subscriber_only"}, "login_required"),
        ({"title": "[Private video]"}, "private"),
        ({"title": "[Deleted video]"}, "removed"),
    ],
)
def test_what_cannot_be_had_is_a_comment(
    tmp_path: Path, told: dict[str, Any], refused: str
) -> None:
    row = listing._row(entry(**told))
    listing.write([row], tmp_path / "ada.tsv")
    line = (tmp_path / "ada.tsv").read_text().splitlines()[1]
    assert row.refused == refused
    assert line.startswith(f"# {refused}: a1\t" if refused else "a1\t")


def test_cells_hold_no_tabs_and_names_are_names(tmp_path: Path) -> None:
    row = listing._row(entry(id="../../etc/pass wd", title="A\ttalk\nof\x00 two <b>lines 👩‍👧"))
    assert row.title == "A talk of two <b>lines 👩‍👧"
    assert row.id == "etc-pass-wd"
    assert listing._row(entry(id="-_x")).id == "s_x"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "javascript:1", "/etc/passwd", "", None])
def test_only_web_urls_come_into_a_list(url: str | None) -> None:
    assert listing._row(entry(url=url, webpage_url=None)).url == ""


def test_a_channel_of_tabs_is_opened_to_its_recordings() -> None:
    """As YouTube's are: the channel holds tabs, each of which is asked for its recordings."""

    class Channel:
        def extract_info(self, url: str, download: bool) -> dict[str, Any]:
            entries = [entry(id=f"{url[-1]}{n}", ie_key="Youtube") for n in range(2)]
            return {"_type": "playlist", "entries": entries}

    tabs = [entry(url=f"https://site/tab{n}", ie_key="YoutubeTab") for n in range(2)]
    found = listing._entries(Channel(), {"_type": "playlist", "entries": [*tabs, None]})
    assert [row["id"] for row in found] == ["00", "01", "10", "11"]
