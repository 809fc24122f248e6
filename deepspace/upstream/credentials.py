"""What channels keep sealed: credentials and the address of a proxy. And their move to another key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit
from uuid import UUID

from deepspace.accounts.events import OrganizationEvents
from deepspace.kit.crypto import SealBroken, Sealer
from deepspace.kit.db import Record, Transaction
from deepspace.kit.envelope import EnvelopeSealer
from deepspace.upstream.repository import ChannelRepository

SEALED: Mapping[str, str] = MappingProxyType(
    {"api_key": "sealed_key", "usage_key": "sealed_usage_key", "proxy": "sealed_proxy"}
)
"""What operators state, and the column it is sealed in."""


def place_of(column: str, channel_id: UUID) -> str:
    """Return what a channel's sealed value is bound to."""
    return f"channels|{column}|{channel_id}"


def proxy_of(row: Record, sealer: Sealer) -> str | None:
    """Return a channel's proxy, with its credentials; SealBroken if it does not open."""
    sealed = row.sealed_proxy
    return sealer.open(sealed, place_of("sealed_proxy", row.id)) if sealed else None


def without_credentials(proxy: str) -> str:
    """Return a proxy's address as it may be shown."""
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


@dataclass(slots=True)
class Rotated:
    """How a rotation went: values sealed anew, values that were sealed by the present key already, and the
    names of channels whose values do not open."""

    resealed: int = 0
    current: int = 0
    broken: list[str] = field(default_factory=list[str])


class CredentialRotation:
    """Seals channels' credentials by the present key."""

    def __init__(self, sealer: EnvelopeSealer, events: OrganizationEvents) -> None:
        """`sealer` opens by every key it has, and seals by the first."""
        self._sealer = sealer
        self._events = events

    async def run(self, tx: Transaction) -> Rotated:
        """Seal anew what another key has sealed. Twice does no harm; what does not open is left as it is."""
        repository, rotated = ChannelRepository(tx), Rotated()
        for row in await repository.lock_all():
            try:
                changes = self._resealed(row, rotated)
            except SealBroken:
                rotated.broken.append(row.name)
                continue
            if changes:
                await repository.change(row.id, **changes)
        await self._events.append(
            tx,
            "channel.keys_rotated",
            None,
            None,
            key_id=self._sealer.current_key,
            resealed=rotated.resealed,
            broken=len(rotated.broken),
        )
        return rotated

    def _resealed(self, row: Record, rotated: Rotated) -> dict[str, bytes]:
        changes: dict[str, bytes] = {}
        for column in SEALED.values():
            sealed: bytes | None = getattr(row, column)
            if sealed is None:
                continue
            if self._sealer.is_current(sealed):
                rotated.current += 1
                continue
            place = place_of(column, row.id)
            changes[column] = self._sealer.seal(self._sealer.open(sealed, place), place)
        rotated.resealed += len(changes)
        return changes
