"""Every kind of fault that a download meets, and the reason that it is to be told with."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass

import loopback
from loopback import Answer

ENDLESS = 10**12  # bytes that an answer may announce


@dataclass(frozen=True)
class Fault:
    """A source that cannot be had: what the site answers, or a ``url`` that is not of the site.

    ``passing``: another try might help, as far as a visitor can know. ``for_ever``: who does not
    look out for it never ends.
    """

    reason: str
    answers: tuple[Answer, ...] = ()
    url: str = ""
    passing: bool = False
    for_ever: bool = False


def faults(wav: bytes, mp3: bytes) -> dict[str, Fault]:
    """All of them by name, which is also their path; they make use of two good recordings."""
    large = {"Content-Length": str(ENDLESS)}
    return {
        "gone": Fault("not_found", (Answer(404),)),
        "old": Fault("removed", (Answer(410),)),
        "members": Fault("login_required", (Answer(401),)),
        "forbidden": Fault("login_required", (Answer(403),)),
        "abroad": Fault("geo_blocked", (Answer(451),)),
        "text": Fault("no_audio", (Answer(200, b"words\n" * 999, "audio/x-wav"),)),
        "empty": Fault("no_audio", (Answer(200, b"", "audio/x-wav"),)),
        "several": Fault("unsupported_url", (loopback.audio_page(["/one.wav", "/two.wav"]),)),
        "circle": Fault("unsupported_url", (loopback.redirect("?again"),)),
        "passwd": Fault("refused_address", (loopback.hls(["file:///etc/passwd"]),)),
        "inside": Fault("refused_address", (loopback.hls(["http://10.0.0.1/a.ts"]),)),
        "detour": Fault("refused_address", (loopback.redirect("http://169.254.169.254/a.wav"),)),
        "private": Fault("refused_address", url="http://192.168.0.1/talk.wav"),
        "match": Fault("live", (loopback.hls(["/one.ts"], live=True),), for_ever=True),
        "radio": Fault("live", (loopback.radio(mp3),), for_ever=True),
        "large": Fault("too_large", (Answer(200, wav, "audio/x-wav", large),)),
        "closed": Fault("network", url=f"http://127.0.0.1:{closed_port()}/a.wav", passing=True),
        "down": Fault("network", (Answer(503),), passing=True),
        "half": Fault(
            "network", (Answer(200, wav, "audio/x-wav", ranges=False, truncate=999),), passing=True
        ),
    }


def passing_trouble(good: Answer, retry_after: float) -> Mapping[str, tuple[Answer, ...]]:
    """Answers that get better: a good one after an ill one or two."""
    return {
        "patient": (Answer(429, retry_after=retry_after), good),
        "dated": (Answer(429, retry_after=retry_after, retry_as_date=True), good),
        "busy": (Answer(503), Answer(503), good),
    }


def closed_port() -> int:
    """A port of 127.0.0.1 where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
