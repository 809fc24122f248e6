"""The port of the ledger: what a call asks of it and what it answers. ledger_store.py is the PostgreSQL
side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from deepspace.billing.rates import Usage

UsageSource = Literal["reported", "estimated", "checkpoint"]


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """Money to set aside for one call. `ttl_s` is counted by the database's clock."""

    id: UUID
    org_id: UUID
    project_id: UUID | None
    user_id: UUID | None
    api_key_id: UUID | None
    billing_ref_id: str
    trace_id: str
    request_hash: bytes
    model: str
    price_id: int
    amount_nano: int
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Capture:
    """A call that delivered something: what it used and costs."""

    hold_id: UUID
    usage: Usage
    cost_nano: int
    source: UsageSource
    channel_id: UUID | None
    journal: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """A call that delivered nothing: its hold goes back whole."""

    hold_id: UUID
    journal: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Captured:
    """What was taken. `absorbed_nano` is what the hold and the wallet could not cover: a bound was wrong."""

    captured_nano: int
    absorbed_nano: int


class Ledger(Protocol):
    """Holds and their ends. Every method returns only after COMMIT."""

    async def hold(self, request: HoldRequest) -> None:
        """Set money aside, or raise InsufficientFunds, WalletFrozen or LedgerUnavailable."""
        ...

    async def capture(self, capture: Capture) -> Captured:
        """Settle a hold: money, usage record and journal rows in one commit. HoldNotOpen if it ended
        before."""
        ...

    async def release(self, release: Release) -> None:
        """Give a hold back, with its journal rows in the same commit. HoldNotOpen if it ended before."""
        ...

    async def note(self, journal: Sequence[Any]) -> None:
        """Write journal rows of a call that never had a hold."""
        ...


class Journal(Protocol):
    """Where the rows go that must commit together with money. The audit slice implements it."""

    async def append(self, connection: Any, rows: Sequence[Any]) -> None:
        """Insert `rows` on an open transaction of the ledger's connection."""
        ...
