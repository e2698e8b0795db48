"""No connection to this machine or its network, whatever name, link or redirect leads there.

The check stands where a connection is made, on the address that it is made to: a name that
resolves to something else the second time, or a redirect, cannot pass it by.
"""

import contextlib
import ipaddress
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

from vc_core.errors import InputError
from vc_download.failures import Reason, failure

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# IPv4 addresses in the clothes of IPv6 (RFC 6052), which the standard library takes for public.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class _Guard:
    """The hosts that one download may not be refused."""

    def __init__(self, source: str, allowed: Iterable[str]) -> None:
        self.source = source
        self.allowed = {_plain(name) for name in allowed}
        # Names are resolved in the thread that then connects.
        self.asked = threading.local()

    def resolving(self, host: Any) -> None:
        self.asked.name = host.decode("ascii", "replace") if isinstance(host, bytes) else host

    def connecting(self, address: Any) -> None:
        """Raises the failure when the address is none of the public internet's."""
        if not isinstance(address, tuple):
            return  # a socket of this machine's file system, which no URL leads to
        host = str(address[0])
        name = getattr(self.asked, "name", None) or host
        if _plain(name) in self.allowed:
            return
        kind = kind_of(host)
        if kind:
            where = name if name == host else f"{name} leads to {host}, which"
            raise failure(Reason.REFUSED_ADDRESS, self.source, f"{where} is {kind}")


class _Post:
    """Where the guard stands, if one does; audit hooks cannot be taken away, only sleep."""

    guard: _Guard | None = None
    hooked = False


@contextlib.contextmanager
def guarded(source: str, allow_hosts: Iterable[str], proxy: str | None = None) -> Iterator[None]:
    """Refuse connections to what is not the public internet while the block runs.

    Hosts in ``allow_hosts`` are not refused, nor are proxies, which the user has chosen. With a
    proxy it is the proxy that resolves names, and its business which it refuses.
    """
    proxies = [proxy] if proxy else list(urllib.request.getproxies().values())
    before = _Post.guard
    _Post.guard = _Guard(source, [*allow_hosts, *map(_host, proxies)])
    if not _Post.hooked:
        sys.addaudithook(_audit)
        _Post.hooked = True
    try:
        yield
    finally:
        _Post.guard = before


def kind_of(host: str) -> str | None:
    """What a numeric address is, if it is not a public one: ``a loopback address``."""
    try:
        address: Address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "no numeric address"
    if isinstance(address, ipaddress.IPv6Address):
        address = _inside(address)
    if address.is_loopback:
        return "a loopback address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast or not address.is_global:
        return "a private or reserved address"
    return None


def _inside(address: ipaddress.IPv6Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it does."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


def _host(proxy: str) -> str:
    """The name of a proxy's host; raises InputError, without the password, for what is no URL."""
    try:
        return urllib.parse.urlsplit(proxy if "//" in proxy else f"//{proxy}").hostname or ""
    except ValueError as error:
        raise InputError(
            f"download.proxy is no valid URL ({error}); write one such as http://127.0.0.1:8080"
        ) from None


def _plain(name: str) -> str:
    return name.strip("[]").rstrip(".").lower()


def _audit(event: str, args: tuple[Any, ...]) -> None:
    guard = _Post.guard
    if guard is None:
        return
    if event == "socket.getaddrinfo":
        guard.resolving(args[0])
    elif event == "socket.connect":
        guard.connecting(args[1])
