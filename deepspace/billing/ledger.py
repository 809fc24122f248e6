"""The port of the ledger: what a call asks of it and what it answers.

writer.py is the PostgreSQL side for gateways (batched), single.py the statements for one operation at a time.
What is made for every call is a msgspec struct that the garbage collector need not know: it holds no cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

from deepspace.billing.rates import Usage

UsageSource = Literal["reported", "estimated", "checkpoint"]


class HoldRequest(msgspec.Struct, frozen=True, gc=False):
    """Money to set aside for one call. `ttl_s` is counted by the database's clock.

    With `at_least_nano` a caller agrees to less than `amount_nano` when that is all there is: Clamped then
    says how much was set aside.

    `reference_given` says that the client chose `billing_ref_id` (or an Idempotency-Key): an earlier call
    with it is then looked for. `budget_ids` are the budgets that apply, all checked and held in the same
    decision.
    """

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
    estimated_input_tokens: int = 0
    reference_given: bool = False
    at_least_nano: int | None = None
    budget_ids: tuple[int, ...] = ()


class StoredAnswer(msgspec.Struct, frozen=True, gc=False):
    """What a call with a reference of the client's was answered, to be answered again."""

    status: int
    content_type: str
    body: bytes


class Clamped(msgspec.Struct, frozen=True, gc=False):
    """Less was set aside than asked for, as the caller had agreed to."""

    amount_nano: int


class Replay(msgspec.Struct, frozen=True, gc=False):
    """The call was made before and is settled: answer again, charge nothing. `answer` is None if not kept."""

    hold_id: UUID
    captured_nano: int
    answer: StoredAnswer | None


class Capture(msgspec.Struct, frozen=True, gc=False):
    """A call that delivered something: what it used and costs."""

    org_id: UUID
    hold_id: UUID
    usage: Usage
    cost_nano: int
    source: UsageSource
    channel_id: UUID | None
    journal: Sequence[Any] = ()
    answer: StoredAnswer | None = None


class Release(msgspec.Struct, frozen=True, gc=False):
    """A call that delivered nothing: its hold goes back whole.

    `expired` marks one that the sweeper gives back because its owner is gone: evidence may still come late.
    """

    org_id: UUID
    hold_id: UUID
    journal: Sequence[Any] = ()
    expired: bool = False


class Progress(msgspec.Struct, frozen=True, gc=False):
    """How far a stream has come: what a sweeper charges if this process dies."""

    hold_id: UUID
    output_tokens: int
    channel_id: UUID | None
    upstream_request_id: str | None


class Captured(msgspec.Struct, frozen=True, gc=False):
    """What was taken. `absorbed_nano` is what the hold and the wallet could not cover: a bound was wrong."""

    captured_nano: int
    absorbed_nano: int


class Ledger(Protocol):
    """Holds and their ends. Every method returns only after COMMIT (or, for settlements while the database is
    away, after the spool file was flushed to disk)."""

    async def hold(self, request: HoldRequest) -> Replay | Clamped | None:
        """Set money aside; a Replay if the call was made before, Clamped if less was set aside as agreed.

        Raises InsufficientFunds, BudgetExceeded, WalletFrozen, CallInProgress, ReferenceReused,
        LedgerBusy or LedgerUnavailable; then nothing was set aside.
        """
        ...

    async def capture(self, capture: Capture) -> Captured:
        """Settle a hold: money, usage record and journal in one commit. HoldNotOpen if it ended before."""
        ...

    async def release(self, release: Release) -> None:
        """Give a hold back, with its journal rows in the same commit. HoldNotOpen if it ended before."""
        ...

    async def progress(self, progress: Progress) -> None:
        """Note how far a call has come; nothing happens if its hold has ended."""
        ...

    def abandon(self, hold_id: UUID) -> None:
        """Stop renewing a hold that cannot be settled here: the sweeper settles it once it has expired."""
        ...

    async def note(self, journal: Sequence[Any]) -> None:
        """Write journal rows of a call that never had a hold."""
        ...


class Journal(Protocol):
    """Where the rows go that must commit together with money. The audit slice implements it."""

    async def append(self, connection: Any, rows: Sequence[Any]) -> None:
        """Insert `rows` on an open transaction of the ledger's connection."""
        ...

    def given_back(self, hold: HoldRequest) -> Sequence[Any]:
        """Return the rows of a hold that the ledger gives back by itself: when it was committed its caller
        had been refused, or was gone."""
        ...

    def encode(self, row: Any) -> str:
        """Return a row as one line of text, for the spool file."""
        ...

    def decode(self, text: str) -> Any:
        """Return the row that `encode` wrote."""
        ...
