"""The decisions of one batch: pure, in order, each operation alone. No database, no clock.

`Books` is what was read under lock; `decide` applies one operation to it and says what must be written. One
bad operation leaves no trace. The same function decides a batch of one and of five hundred; the tests run it
against an independent model (tests/billing/test_ledger_model.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from deepspace.billing.errors import (
    BudgetExceeded,
    CallInProgress,
    HoldNotOpen,
    InsufficientFunds,
    ReferenceReused,
    WalletFrozen,
)
from deepspace.billing.ledger import Capture, Captured, Clamped, HoldRequest, Release, Replay, StoredAnswer


class WalletState(msgspec.Struct, gc=False):
    """A wallet under lock."""

    id: int
    org_id: UUID
    balance: int
    frozen: int
    credit_limit: int
    active: bool
    changed: bool = False

    @property
    def available(self) -> int:
        """What a new call can hold."""
        return self.balance - self.frozen + self.credit_limit


class CounterState(msgspec.Struct, gc=False):
    """A budget's counter of the present period under lock."""

    id: int
    budget_id: int
    limit: int
    held: int
    spent: int
    changed: bool = False

    @property
    def left(self) -> int:
        """What a new call can hold under this budget."""
        return self.limit - self.spent - self.held


class HoldState(msgspec.Struct, gc=False):
    """A hold as the database has it."""

    id: UUID
    org_id: UUID
    wallet_id: int
    billing_ref_id: str
    request_hash: bytes
    state: str
    amount: int
    captured: int
    trace_id: str
    model: str
    price_id: int
    counter_ids: tuple[int, ...]
    late_allowed: bool = True
    answer: StoredAnswer | None = None


class Movement(msgspec.Struct, frozen=True, gc=False):
    """A row of the transactions table: a capture or an absorbed cost."""

    hold: HoldState
    type: str
    debit_account: int
    credit_account: int
    amount: int


REVENUE = -1
ABSORBED = -3


@dataclass(slots=True)
class Books:
    """What a batch has read under lock, and what it will write."""

    xid: str | None = None
    now: datetime | None = None
    wallets: dict[UUID, WalletState] = field(default_factory=dict[UUID, WalletState])
    counters: dict[int, CounterState] = field(default_factory=dict[int, CounterState])
    current_counter: dict[int, CounterState] = field(default_factory=dict[int, CounterState])
    holds: dict[UUID, HoldState] = field(default_factory=dict[UUID, HoldState])
    references: dict[tuple[UUID, str], HoldState] = field(default_factory=dict[tuple[UUID, str], HoldState])
    opened: list[tuple[HoldRequest, HoldState]] = field(default_factory=list[tuple[HoldRequest, HoldState]])
    settled: list[HoldState] = field(default_factory=list[HoldState])
    movements: list[Movement] = field(default_factory=list[Movement])
    captures: list[Capture] = field(default_factory=list[Capture])


def hold(books: Books, request: HoldRequest) -> Replay | Clamped | None:
    """Set money aside in the wallet and in every budget that applies, or raise and change nothing."""
    earlier = books.references.get((request.org_id, request.billing_ref_id))
    if earlier is not None:
        return _again(earlier, request)
    wallet = books.wallets.get(request.org_id)
    if wallet is None:
        raise InsufficientFunds("This organisation has no wallet.")
    if not wallet.active:
        raise WalletFrozen
    counters = [
        books.current_counter[budget] for budget in request.budget_ids if budget in books.current_counter
    ]
    amount = _affordable(wallet, counters, request)
    wallet.frozen += amount
    wallet.changed = True
    for counter in counters:
        counter.held += amount
        counter.changed = True
    state = HoldState(
        request.id,
        request.org_id,
        wallet.id,
        request.billing_ref_id,
        request.request_hash,
        "held",
        amount,
        0,
        request.trace_id,
        request.model,
        request.price_id,
        tuple(counter.id for counter in counters),
    )
    books.holds[state.id] = state
    books.references[request.org_id, request.billing_ref_id] = state
    books.opened.append((request, state))
    return Clamped(amount) if amount < request.amount_nano else None


def _affordable(wallet: WalletState, counters: list[CounterState], request: HoldRequest) -> int:
    """Return what is to be set aside: all that was asked for, or less if the caller agreed; else refuse."""
    if wallet.available >= request.amount_nano and all(
        counter.left >= request.amount_nano for counter in counters
    ):
        return request.amount_nano
    room = min([wallet.available, *(counter.left for counter in counters)])
    if request.at_least_nano is not None and room >= request.at_least_nano:
        return room
    if wallet.available < (request.at_least_nano or request.amount_nano):
        raise InsufficientFunds
    raise BudgetExceeded


def _again(earlier: HoldState, request: HoldRequest) -> Replay:
    if earlier.request_hash != request.request_hash:
        raise ReferenceReused
    if earlier.state == "held":
        raise CallInProgress
    return Replay(earlier.id, earlier.captured, earlier.answer)


def capture(books: Books, request: Capture) -> Captured:
    """Settle a hold: never more than the hold and what the wallet has beside it; the rest is absorbed.

    A hold that the sweeper gave back can still be captured within a day if the provider reported the usage:
    from what is available then, the rest absorbed.
    """
    state = books.holds.get(request.hold_id)
    wallet = books.wallets.get(request.org_id)
    if state is None or wallet is None or state.org_id != request.org_id:
        raise HoldNotOpen
    late = state.state == "expired" and state.late_allowed and request.source == "reported"
    if late and (state.org_id, state.billing_ref_id) in books.references:
        late = False  # the client has called again under the same reference: that call is the one charged
    if state.state != "held" and not late:
        raise HoldNotOpen
    covered = 0 if late else state.amount
    captured = min(request.cost_nano, covered + max(wallet.available, 0))
    absorbed = request.cost_nano - captured
    _give_back(books, wallet, state, covered)
    wallet.balance -= captured
    wallet.changed = True
    for counter_id in state.counter_ids:
        counter = books.counters.get(counter_id)
        if counter is not None:
            counter.spent += captured
            counter.changed = True
    state.state, state.captured, state.answer = "captured", captured, request.answer
    books.references[state.org_id, state.billing_ref_id] = state
    books.settled.append(state)
    books.captures.append(request)
    if captured:
        books.movements.append(Movement(state, "capture", wallet.id, REVENUE, captured))
    if absorbed:
        books.movements.append(Movement(state, "absorb", ABSORBED, REVENUE, absorbed))
    return Captured(captured, absorbed)


def release(books: Books, request: Release) -> None:
    """Give a hold back whole."""
    state = books.holds.get(request.hold_id)
    wallet = books.wallets.get(request.org_id)
    if state is None or wallet is None or state.org_id != request.org_id or state.state != "held":
        raise HoldNotOpen
    _give_back(books, wallet, state, state.amount)
    state.state = "expired" if request.expired else "released"
    books.references.pop((state.org_id, state.billing_ref_id), None)
    books.settled.append(state)


def _give_back(books: Books, wallet: WalletState, state: HoldState, amount: int) -> None:
    wallet.frozen -= amount
    wallet.changed = True
    for counter_id in state.counter_ids:
        counter = books.counters.get(counter_id)
        if counter is not None:
            counter.held -= amount
            counter.changed = True
