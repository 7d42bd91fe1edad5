"""Find the client of a request: the address of the connection, or the one that a trusted proxy reports.

uvicorn does this too, but trusts 127.0.0.1 by default, and accepts texts that are not addresses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

__all__ = ["UNKNOWN", "Proxies", "TrueClient", "canonicalise", "find_network"]

UNKNOWN = "unknown"
"""The client of a request whose address a proxy does not tell, as in RFC 7239; all of them are limited as one."""

THIS_MACHINE = frozenset({"127.0.0.1/32", "::1/128"})
"""Networks in which a proxy may be that no setting names."""

FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;,"\s]*)', re.IGNORECASE)
IPV6_SITE = 64
"""Bits of the network of one IPv6 site, which may have all addresses in it."""


def parse(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address, an IPv4 address in an IPv6 one as itself; None if it is not an address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def canonicalise(text: str) -> str:
    """Return an address in its canonical spelling; other text as it is.

    Examples
    --------
    >>> canonicalise("::FFFF:192.0.2.7"), canonicalise("2001:DB8:0::1"), canonicalise("localhost")
    ('192.0.2.7', '2001:db8::1', 'localhost')
    """
    address = parse(text)
    return text if address is None else str(address)


@lru_cache(4096)
def find_network(text: str) -> str:
    """Return the network of one client: an IPv4 address, a /64 of IPv6; text that is not an address as it is.

    Examples
    --------
    >>> find_network("192.0.2.7"), find_network("2001:db8::1"), find_network("::1"), find_network("")
    ('192.0.2.7/32', '2001:db8::/64', '::1/128', '')
    """
    address = parse(text)
    if address is None:
        return text
    bits = IPV6_SITE if address.version == 6 and not address.is_loopback else address.max_prefixlen
    return str(ip_network((address, bits), strict=False))


class Proxies:
    """The proxies that are trusted to name the client.

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
        self.canonicalise = lru_cache(4096)(canonicalise)

    def __contains__(self, address: str) -> bool:
        return bool(self.networks) and self.contains(address)

    def _contains(self, text: str) -> bool:
        address = parse(text)
        return address is not None and any(address in network for network in self.networks)

    def find_limit_key(self, address: str) -> str:
        """Return the key of limits for an address: its network; empty for this machine and the proxies.

        Those send requests for many clients. Clients whose addresses are unknown have one key together.
        """
        network = find_network(address)
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
            The last address of the list that is not a proxy's; the first, if all are; ``unknown`` if that is not an
            address, or if the two headers disagree, as a proxy writes one of them and passes on the other.
        """
        peer = self.canonicalise(peer)
        if peer not in self or not (forwarded_for or forwarded):
            return peer
        lists = []
        if forwarded_for:
            lists.append([strip_port(part.strip()) for part in forwarded_for.split(",")])
        if forwarded:
            lists.append([strip_port(parse_client(part)) for part in forwarded.split(",")])
        found = {self._last_foreign(addresses) for addresses in lists}
        return found.pop() if len(found) == 1 else UNKNOWN

    def _last_foreign(self, addresses: list[str]) -> str:
        found = next((address for address in reversed(addresses) if address not in self), addresses[0])
        return canonicalise(found) if parse(found) else UNKNOWN


def parse_client(element: str) -> str:
    """Parse the client of an element of ``Forwarded``.

    Examples
    --------
    >>> parse_client('proto=http; for="[2001:db8::1]:4711"; by=10.0.0.1')
    '[2001:db8::1]:4711'
    """
    found = FOR.search(element)
    return found[1].strip('"') if found else ""


def strip_port(text: str) -> str:
    """Strip the port from an address.

    Examples
    --------
    >>> strip_port("192.0.2.7:80"), strip_port("[2001:db8::1]:80"), strip_port("2001:db8::1")
    ('192.0.2.7', '2001:db8::1', '2001:db8::1')
    """
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


class TrueClient:
    """An ASGI middleware that sets the client of a request to the true one.

    Parameters
    ----------
    app : callable
        The ASGI application.
    proxies : Proxies
        Trusted proxies.
    """

    def __init__(self, app: Callable[..., Any], proxies: Proxies) -> None:
        self.app = app
        self.proxies = proxies

    async def __call__(self, scope: dict[str, Any], receive: object, send: object) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope.get("client"):
            peer, port = scope["client"]
            headers = merge_headers(scope["headers"]) if peer in self.proxies else {}
            client = self.proxies.client(peer, headers.get(b"x-forwarded-for", ""), headers.get(b"forwarded", ""))
            scope["client"] = (client, port)
        await self.app(scope, receive, send)


def merge_headers(headers: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, str]:
    """Merge repeated headers of proxies; return the two by name."""
    found: dict[bytes, str] = {}
    for name, value in headers:
        if name in {b"x-forwarded-for", b"forwarded"}:
            found[name] = f"{found[name]}, {value.decode('latin-1')}" if name in found else value.decode("latin-1")
    return found
