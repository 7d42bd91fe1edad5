"""Who sent a request: the address of the connection, or what a proxy that is trusted says.

uvicorn has this too, but trusts 127.0.0.1 where nothing is set, and takes what is no address for a client's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

__all__ = ["Proxies", "TrueClient", "canonical", "network_of"]

THIS_MACHINE = frozenset({"127.0.0.1/32", "::1/128"})
"""Where a proxy may be that no setting names."""

FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;,"\s]*)', re.IGNORECASE)
IPV6_SITE = 64
"""Bits of an IPv6 address that one site has: it may have all addresses below."""


def parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text is, an IPv4 address in an IPv6 one as itself; None if it is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def canonical(text: str) -> str:
    """Return an address in its one spelling; other text as it is.

    Examples
    --------
    >>> canonical("::FFFF:192.0.2.7"), canonical("2001:DB8:0::1"), canonical("localhost")
    ('192.0.2.7', '2001:db8::1', 'localhost')
    """
    address = parse(text)
    return text if address is None else str(address)


@lru_cache(4096)
def network_of(text: str) -> str:
    """Return the network that one client has: an IPv4 address, a /64 of IPv6; a text that is no address as it is.

    Examples
    --------
    >>> network_of("192.0.2.7"), network_of("2001:db8::1"), network_of("::1"), network_of("")
    ('192.0.2.7/32', '2001:db8::/64', '::1/128', '')
    """
    address = parse(text)
    if address is None:
        return text
    bits = IPV6_SITE if address.version == 6 and not address.is_loopback else address.max_prefixlen
    return str(ip_network((address, bits), strict=False))


class Proxies:
    """The proxies whose word is taken for who the client is.

    Parameters
    ----------
    networks : iterable of str
        Addresses and networks.

    Examples
    --------
    >>> proxies = Proxies(["127.0.0.1", "10.0.0.0/8"])
    >>> proxies.client("127.0.0.1", "203.0.113.9, 192.0.2.7, 10.0.0.2")
    '192.0.2.7'
    >>> proxies.client("198.51.100.1", "192.0.2.7")
    '198.51.100.1'
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self.networks = [ip_network(network, strict=False) for network in networks]
        self.contains = lru_cache(4096)(self._contains)

    def __contains__(self, address: str) -> bool:
        return bool(self.networks) and self.contains(address)

    def _contains(self, text: str) -> bool:
        address = parse(text)
        return address is not None and any(address in network for network in self.networks)

    def limited_as(self, address: str) -> str:
        """Return what limits for an address apply to: its network; empty for those that speak for many.

        These are this machine and the proxies.
        """
        network = network_of(address)
        return "" if network in THIS_MACHINE or address in self else network

    def client(self, peer: str, forwarded_for: str = "", forwarded: str = "") -> str:
        """Return the address of the client.

        Parameters
        ----------
        peer : str
            The other end of the connection.
        forwarded_for, forwarded : str
            The headers ``X-Forwarded-For`` and ``Forwarded`` (RFC 7239).

        Returns
        -------
        str
            The last address of the list that is not a proxy's; the first, if all are; empty if that is no address, or
            if the two headers disagree, as a proxy writes one of them and passes on the other.
        """
        peer = canonical(peer)
        if peer not in self or not (forwarded_for or forwarded):
            return peer
        lists = []
        if forwarded_for:
            lists.append([without_port(part.strip()) for part in forwarded_for.split(",")])
        if forwarded:
            lists.append([without_port(named(part)) for part in forwarded.split(",")])
        found = {self._last_foreign(addresses) for addresses in lists}
        return found.pop() if len(found) == 1 else ""

    def _last_foreign(self, addresses: list[str]) -> str:
        found = next((address for address in reversed(addresses) if address not in self), addresses[0])
        return canonical(found) if parse(found) else ""


def named(element: str) -> str:
    """Return the client of an element of ``Forwarded``.

    Examples
    --------
    >>> named('proto=http; for="[2001:db8::1]:4711"; by=10.0.0.1')
    '[2001:db8::1]:4711'
    """
    found = FOR.search(element)
    return found[1].strip('"') if found else ""


def without_port(text: str) -> str:
    """Return an address without the port behind it.

    Examples
    --------
    >>> without_port("192.0.2.7:80"), without_port("[2001:db8::1]:80"), without_port("2001:db8::1")
    ('192.0.2.7', '2001:db8::1', '2001:db8::1')
    """
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


class TrueClient:
    """An ASGI middleware: the client of a request is the true one.

    Parameters
    ----------
    app : callable
        The ASGI application.
    proxies : Proxies
        Who is believed.
    """

    def __init__(self, app: Callable[..., Any], proxies: Proxies) -> None:
        self.app = app
        self.proxies = proxies

    async def __call__(self, scope: dict[str, Any], receive: object, send: object) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope.get("client"):
            peer, port = scope["client"]
            headers = merge(scope["headers"])
            client = self.proxies.client(peer, headers.get(b"x-forwarded-for", ""), headers.get(b"forwarded", ""))
            scope["client"] = (client, port)
        await self.app(scope, receive, send)


def merge(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, str]:
    """Return the two headers of proxies; one that is there several times is one list."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in {b"x-forwarded-for", b"forwarded"}:
            found[name] = f"{found[name]}, {value.decode('latin-1')}" if name in found else value.decode("latin-1")
    return found
