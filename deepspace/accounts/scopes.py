"""What an API key is narrowed to: surfaces, models, projects, networks. None or empty means no narrowing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from deepspace.kit.client_address import Network, address_of, is_in, network_of

Surface = Literal[
    "chat", "embeddings", "rerank", "moderations", "images", "audio", "other", "models", "management"
]
"""Where a request comes in: calls that spend, by what they ask for (`other`: at an address that is passed
through), the list of models, or /api (`management`)."""


@dataclass(frozen=True, slots=True)
class KeyScopes:
    """The narrowing of one key."""

    routes: frozenset[str] | None = None
    models: frozenset[str] | None = None
    projects: frozenset[UUID] = frozenset()
    """Projects the key may name beside its own."""
    networks: tuple[Network, ...] = ()

    def allow_address(self, ip: str) -> bool:
        """Tell whether a request may come from this address; an unknown address fits no list."""
        return not self.networks or is_in(address_of(ip), self.networks)

    def allow_route(self, surface: Surface) -> bool:
        """Tell whether the key is for this surface."""
        return self.routes is None or surface in self.routes


def read_scopes(stored: Mapping[str, Any], allowed_ips: Sequence[str]) -> KeyScopes:
    """Return the scopes that a key's row holds."""
    return KeyScopes(
        _names(stored.get("routes")),
        _names(stored.get("models")),
        frozenset(UUID(text) for text in stored.get("projects") or ()),
        tuple(network_of(text) for text in allowed_ips),
    )


def parse_network(text: str) -> str:
    """Return an address or CIDR block in its one canonical form; ValueError says what is wrong with it."""
    network = network_of(text)
    if ":" in text and network.version == 4:
        raise ValueError("write an IPv4-mapped address as IPv4")
    return str(network)


def _names(found: Sequence[str] | None) -> frozenset[str] | None:
    return frozenset(found) if found is not None else None
