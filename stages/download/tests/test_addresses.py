"""Connections to this machine and its network are refused, by whatever name they go."""

import socket
import threading
from typing import Any

import pytest

from vc_core.errors import InputError
from vc_download import addresses


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.10", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd00::1", "private"),
        ("0.0.0.0", "private"),
        ("::", "private"),
        ("224.0.0.1", "private"),
        ("255.255.255.255", "private"),
    ],
)
def test_addresses_that_are_not_public(host: str, kind: str) -> None:
    assert kind in (addresses.kind_of(host) or "")


@pytest.mark.parametrize("host", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1::1"])
def test_public_addresses(host: str) -> None:
    assert addresses.kind_of(host) is None


@pytest.fixture
def server() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A resolver that knows the names in it, besides what the real one knows."""
    known: dict[str, str] = {}
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host in known:
            # The audit event that resolving this name would raise.
            addresses._audit("socket.getaddrinfo", (host, port, 0, 0, 0))
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (known[host], port))]
        return real(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


def test_a_name_that_resolves_to_this_machine_is_refused(
    server: int, names: dict[str, str]
) -> None:
    names["innocent.example"] = "127.0.0.1"
    with (
        addresses.guarded("https://site/v", []),
        pytest.raises(InputError, match=r"https://site/v: innocent.example leads to 127.0.0.1"),
    ):
        socket.create_connection(("innocent.example", server), 5)


def test_a_host_is_allowed_by_its_name_and_no_other(server: int, names: dict[str, str]) -> None:
    names |= {"media.lab": "127.0.0.1", "innocent.example": "127.0.0.1"}
    with addresses.guarded("https://site/v", ["Media.Lab"]):
        socket.create_connection(("media.lab", server), 5).close()
        with pytest.raises(InputError, match="refused_address"):
            socket.create_connection(("innocent.example", server), 5)
        with pytest.raises(InputError, match="refused_address"):
            socket.create_connection(("127.0.0.1", server), 5)


def test_a_proxy_is_what_the_user_chose(server: int) -> None:
    with (
        addresses.guarded("https://site/v", [], f"http://127.0.0.1:{server}"),
        socket.create_connection(("127.0.0.1", server), 5) as reached,
    ):
        assert reached.getpeername() == ("127.0.0.1", server)


def test_a_proxy_of_the_environment_too(server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server}")
    with (
        addresses.guarded("https://site/v", []),
        socket.create_connection(("127.0.0.1", server), 5) as reached,
    ):
        assert reached.getpeername() == ("127.0.0.1", server)


def test_other_threads_are_guarded_too_and_nothing_afterwards(server: int) -> None:
    outcomes: list[str] = []

    def connect() -> None:
        try:
            socket.create_connection(("127.0.0.1", server), 5).close()
            outcomes.append("connected")
        except InputError:
            outcomes.append("refused")

    with addresses.guarded("https://site/v", []):
        thread = threading.Thread(target=connect)
        thread.start()
        thread.join()
    connect()
    assert outcomes == ["refused", "connected"]
