"""What may be told of a URL, and what may not."""

import time

import pytest

from vc_core import provenance, urls

SAME = [
    "https://www.youtube.com/watch?v=dQw4w9WgXcQ&list=PLrAXtmErZgOeiKm4sgNOknGvNjby9efdf&t=30s",
    "https://www.youtube.com/@someone/videos",
    "https://youtu.be/dQw4w9WgXcQ",
    "https://podcasts.apple.com/us/podcast/talks/id1200361736?i=1000654321",
    "https://www.bilibili.com/video/BV1xx411c7mD?p=2",
    "https://archive.org/details/talk%20one/talk%20one.mp3",
    "http://127.0.0.1:8080/talk.wav",
    "http://[::1]:8080/talk.wav",
    "https://site/a,b/%E2%9C%93/key/notes=1.mp3#t=10",
    "https://site?id=7",
    # No URLs of the web, or none at all: another's business to refuse.
    "file:///home/ada/talk;1?.wav",
    "http://[::1/a.mp3",
    "http://site:port/a.mp3",
    "recordings/what?token=1.wav",
    "",
]


@pytest.mark.parametrize("url", SAME)
def test_what_holds_no_secret_stays_as_it_was_written(url: str) -> None:
    assert urls.public(url) == url


@pytest.mark.parametrize(
    ("url", "told"),
    [
        # Who asks.
        ("https://me:hush@site/a.mp3", "https://site/a.mp3"),
        ("https://hush@site:8443/a.mp3", "https://site:8443/a.mp3"),
        ("https://me:hu@sh@site/a.mp3", "https://site/a.mp3"),
        ("https://me:hu/sh@site/a.mp3", "https://site/a.mp3"),
        ("https://me:hush?@site/a.mp3?token=hush", "https://site/a.mp3"),
        ("socks5://me:hush@10.0.0.1:1080", "socks5://10.0.0.1:1080"),
        # Signatures and tokens.
        ("https://site/a.mp3?token=hush", "https://site/a.mp3"),
        ("https://site/a?id=7&TOKEN=hush&t=3", "https://site/a?id=7&t=3"),
        ("https://site/a?v=7;sig=hush", "https://site/a?v=7"),
        (
            "https://bucket.s3.amazonaws.com/a.mp3?X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=hush%2F20260110&X-Amz-Expires=600&X-Amz-Signature=hush",
            "https://bucket.s3.amazonaws.com/a.mp3",
        ),
        ("https://site/a.mp3?X-Goog-Credential=hush&X-Goog-Signature=hush", "https://site/a.mp3"),
        ("https://d1.site/a?Policy=hush&Signature=hush&Key-Pair-Id=hush", "https://d1.site/a"),
        ("https://site/a?sv=2022&se=2026&sp=r&sig=hush%3D", "https://site/a"),
        ("https://feeds.site/rss/talks?auth=hush", "https://feeds.site/rss/talks"),
        ("https://drive.site/uc?export=download&id=1AbC&key=hush", None),
        ("https://site/scl/a.wav?rlkey=hush&dl=1", "https://site/scl/a.wav?dl=1"),
        # By names that nobody has foreseen, or none.
        ("https://site/a?%74oken=hush", "https://site/a"),
        ("https://site/a?k9=hush&pw=hush&hush", "https://site/a"),
        ("https://site/a#access_token=hush&t=3", "https://site/a#t=3"),
        # Under innocent names.
        ("https://site/a?id=eyJhbGciOiJIUzI1NiJ9." + "hush" * 20, "https://site/a"),
        ("https://site/a?file=https%3A%2F%2Fother%2Fb%3Ftoken%3Dhush", "https://site/a"),
        # In the path.
        ("https://site/a.mp3;jsessionid=hush?id=1", "https://site/a.mp3?id=1"),
        ("https://cdn.site/hdnts=exp=17~acl=*~hmac=hush/a.mp3", "https://cdn.site/a.mp3"),
        ("https://site/play/token/hush/sig/hush/a.mp3", "https://site/play/a.mp3"),
        # However odd.
        ("http://[::1/a.mp3?token=hush", "http://[::1/a.mp3"),
        ("http://me:hush@[::1/a.mp3", "http://[::1/a.mp3"),
        ("HTTPS://site/a?token=hu\nsh", "HTTPS://site/a"),
    ],
)
def test_secrets_go_and_what_names_the_recording_stays(url: str, told: str | None) -> None:
    found = urls.public(url)
    assert "hush" not in found
    assert found == (told or "https://drive.site/uc?export=download&id=1AbC")
    assert urls.public(found) == found


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Is it there? No: 1 != 2; see a=b.", None),
        ("https://site/a: HTTP 404 (not_found); check the URL", None),
        ("https://site/a?token=hush: HTTP 403", "https://site/a: HTTP 403"),
        ('Invoking "https://site/a?v=1&sig=hush".', 'Invoking "https://site/a?v=1".'),
        ("{'url': 'https://me:hush@site/a', 'n': 1}", "{'url': 'https://site/a', 'n': 1}"),
        ("Max retries exceeded with url: /a.mp3?token=hush (Caused by", None),
        ("[generic] a?token=hush: Downloading webpage", "[generic] a: Downloading webpage"),
        ("proxy=http://me:hush@10.0.0.1:80, gave up", "proxy=http://10.0.0.1:80, gave up"),
    ],
)
def test_words_that_quote_urls(said: str, told: str | None) -> None:
    found = urls.scrubbed(said)
    assert "hush" not in found
    assert found == (told or said.replace("?token=hush", ""))


@pytest.mark.serial
def test_long_words_are_gone_through_in_no_time() -> None:
    started = time.monotonic()
    for word in ("a" * 200_000, "?" * 200_000, "a://" * 50_000, "?a=" * 70_000, "/token" * 40_000):
        urls.scrubbed(word)
        urls.public(f"https://{word}")
    assert time.monotonic() - started < 5


def test_provenance_that_was_written_earlier_is_told_without_secrets() -> None:
    facts = {"canonical_url": "https://site/a.mp3?v=1&token=hush", "url": "https://site/b"}
    assert provenance.read(facts).url == "https://site/a.mp3?v=1"
