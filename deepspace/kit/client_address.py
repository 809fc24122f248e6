"""The address a request comes from, behind proxies that are trusted and others that are not.

A proxy appends the address it saw to `X-Forwarded-For`; what stands to the left of the first hop we do not
trust is whatever a client chose to write (MDN, "X-Forwarded-For": security and privacy concerns).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_HOPS = 32
"""Entries of `X-Forwarded-For` that are looked at, from the right."""


def address_of(text: str) -> Address | None:
    """Return the address a text means, an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) as IPv4; None if it
    means none. A port and brackets are allowed, as some proxies write them; a zone is not part of it."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def network_of(text: str) -> Network:
    """Return the network of a CIDR text or a single address; ValueError if it is none, or has host bits set.

    A network of IPv4-mapped addresses (`::ffff:10.0.0.0/104`) is the IPv4 network it stands for.
    """
    found = ip_network(text.strip())
    if isinstance(found, IPv6Network) and found.prefixlen >= 96:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, found.prefixlen - 96))
    return found


def networks_of(text: str | None) -> tuple[Network, ...]:
    """Return the networks of a comma-separated list; ValueError names the one that is none."""
    return tuple(network_of(part) for part in (text or "").split(",") if part.strip())


def is_in(address: Address | None, networks: Sequence[Network]) -> bool:
    """Tell whether an address lies in one of the networks; an unknown address lies in none."""
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=4096)
def canonical(peer: str) -> str:
    """Return the one way to write an address; what is no address stays as it is."""
    found = address_of(peer)
    return str(found) if found is not None else peer


def client_address(peer: str, forwarded_for: str | None, trusted: Sequence[Network]) -> str:
    """Return the client's address: the right-most hop that is not one of the `trusted` proxies.

    `peer` is the other end of the connection, `forwarded_for` the values of `X-Forwarded-For` joined by
    commas. An entry that is no address ends the walk at the hop that reported it.
    """
    found = address_of(peer)
    if found is None:
        return peer
    if forwarded_for and is_in(found, trusted):
        for entry in reversed(forwarded_for.split(",")[-MAX_HOPS:]):
            hop = address_of(entry)
            if hop is None:
                break
            found = hop
            if not is_in(found, trusted):
                break
    return str(found)


class TrustedProxies:
    """The proxies whose `X-Forwarded-For` is believed; none by default."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        """Trust hops in these networks."""
        self._networks = tuple(networks)

    def client(self, peer: str, forwarded_for: str | None) -> str:
        """Return the client's address; see `client_address`."""
        if not (self._networks and forwarded_for):
            return canonical(peer)
        return client_address(peer, forwarded_for, self._networks)
