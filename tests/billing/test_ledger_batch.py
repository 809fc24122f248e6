"""The decisions of a batch: the same however operations fall into batches, and the same as the model's.

Pure: a dictionary stands in for the database, so thousands of histories fit into seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from deepspace.billing import batch
from deepspace.billing.batch import Books, CounterState, HoldState, WalletState
from deepspace.billing.ledger import Capture, Captured, HoldRequest, Release, Replay
from deepspace.kit.errors import PlatformError
from deepspace.testing.ledger_model import OK, LedgerModel, ModelBudget, ModelWallet, Outcome
from tests.chaos.books import LONG, capture_of, hold_request

EXAMPLES = 10_000 if LONG else 400
ORGS = [UUID(int=1), UUID(int=2)]
BUDGETS = {1: 250, 2: 90}
Op = HoldRequest | Capture | Release


@dataclass
class Store:
    """What a database would keep between batches."""

    wallets: dict[UUID, WalletState] = field(default_factory=dict)
    counters: dict[int, CounterState] = field(default_factory=dict)
    holds: dict[UUID, HoldState] = field(default_factory=dict)

    @classmethod
    def new(cls) -> Store:
        """Two wallets and two budgets."""
        wallets = {org: WalletState(n, org, 300, 0, 20 * n, True) for n, org in enumerate(ORGS)}
        return cls(wallets, {b: CounterState(b + 10, b, limit, 0, 0) for b, limit in BUDGETS.items()})

    def run(self, ops: Sequence[Op]) -> list[Outcome]:
        """Decide one batch and keep what it wrote."""
        books = Books()
        books.wallets = {org: replace(wallet) for org, wallet in self.wallets.items()}
        books.current_counter = {b: replace(counter) for b, counter in self.counters.items()}
        books.counters = {counter.id: counter for counter in books.current_counter.values()}
        books.holds = {op.hold_id: replace(self.holds[op.hold_id]) for op in ops if _known(self, op)}
        wanted = {(op.org_id, op.billing_ref_id) for op in ops if isinstance(op, HoldRequest)}
        wanted |= {(hold.org_id, hold.billing_ref_id) for hold in books.holds.values()}
        for hold in self.holds.values():
            key = (hold.org_id, hold.billing_ref_id)
            if key in wanted and hold.state in {"held", "captured"}:
                books.references[key] = books.holds.setdefault(hold.id, replace(hold))
        outcomes = [_decided(books, op) for op in ops]
        self.wallets, self.counters = books.wallets, books.current_counter
        self.holds |= books.holds
        return outcomes

    def figures(self) -> Any:
        """Everything that must be the same."""
        return (
            sorted((w.id, w.balance, w.frozen) for w in self.wallets.values()),
            sorted((c.id, c.held, c.spent) for c in self.counters.values()),
            sorted((h.id, h.state, h.amount, h.captured) for h in self.holds.values()),
        )


def _known(store: Store, op: Op) -> bool:
    return not isinstance(op, HoldRequest) and op.hold_id in store.holds


def _decided(books: Books, op: Op) -> Outcome:
    try:
        if isinstance(op, HoldRequest):
            return _seen(batch.hold(books, op))
        return _seen(batch.capture(books, op) if isinstance(op, Capture) else batch.release(books, op))
    except PlatformError as refusal:
        return (refusal.code,)


def _seen(outcome: Any) -> Outcome:
    if isinstance(outcome, Captured):
        return ("captured", outcome.captured_nano, outcome.absorbed_nano)
    if isinstance(outcome, Replay):
        body = outcome.answer.body if outcome.answer is not None else None
        return ("replay", outcome.hold_id, outcome.captured_nano, body)
    return OK


def _asked(model: LedgerModel, op: Op) -> Outcome:
    if isinstance(op, HoldRequest):
        return model.hold(op.org_id, op.id, op.billing_ref_id, op.request_hash, op.amount_nano, op.budget_ids)
    if isinstance(op, Capture):
        body = op.answer.body if op.answer is not None else None
        return model.capture(op.org_id, op.hold_id, op.cost_nano, op.source, body)
    return model.release(op.org_id, op.hold_id, expired=op.expired)


@st.composite
def histories(draw: st.DrawFn) -> list[Op]:
    """Holds, and ends of holds that were asked for: some twice, some of another organisation."""
    ops: list[Op] = []
    asked: list[HoldRequest] = []
    for _ in range(draw(st.integers(1, 24))):
        kind = draw(st.sampled_from(["hold", "hold", "capture", "capture", "release", "expire"]))
        if kind == "hold" or not asked:
            request = hold_request(
                draw(st.sampled_from(ORGS)),
                draw(st.integers(1, 150)),
                reference=draw(st.sampled_from([None, "a", "b"])),
                content=draw(st.sampled_from([b"x", b"x", b"y"])),
                budget_ids=draw(st.sampled_from([(), (1,), (1, 2), (3,)])),
            )
            asked.append(request)
            ops.append(request)
            continue
        request = asked[-1 - draw(st.integers(0, min(3, len(asked) - 1)))]
        if draw(st.integers(0, 19)) == 0:
            request = replace(request, org_id=draw(st.sampled_from(ORGS)))
        if kind == "capture":
            source = draw(st.sampled_from(["reported", "reported", "estimated", "checkpoint"]))
            answer = draw(st.sampled_from([None, b"answer"]))
            ops.append(capture_of(request, draw(st.integers(0, 220)), source, answer))
        else:
            ops.append(Release(request.org_id, request.id, (), kind == "expire"))
    return ops


def one_by_one(ops: Sequence[Op]) -> tuple[Store, list[Outcome]]:
    """Decide each operation in a batch of its own."""
    store = Store.new()
    return store, [outcome for op in ops for outcome in store.run([op])]


@settings(max_examples=EXAMPLES, deadline=None, derandomize=not LONG)
@given(histories(), st.data())
def test_any_way_of_cutting_a_history_into_batches_gives_the_same_outcomes_and_figures(
    ops: list[Op], data: st.DataObject
) -> None:
    expected, outcomes = one_by_one(ops)
    store, seen, rest = Store.new(), [], list(ops)
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        seen += store.run(rest[:size])
        rest = rest[size:]
    assert seen == outcomes
    assert store.figures() == expected.figures()
    whole = Store.new()
    assert whole.run(ops) == outcomes
    assert whole.figures() == expected.figures()


@settings(max_examples=EXAMPLES, deadline=None, derandomize=not LONG)
@given(histories())
def test_a_batch_decides_as_the_model_does(ops: list[Op]) -> None:
    model = LedgerModel()
    for number, org in enumerate(ORGS):
        model.wallets[org] = ModelWallet(credit_limit=20 * number)
        model.movements.append((org, 300))
    model.budgets = {budget: ModelBudget(limit) for budget, limit in BUDGETS.items()}
    store = Store.new()
    assert store.run(ops) == [_asked(model, op) for op in ops]
    for org in ORGS:
        wallet = store.wallets[org]
        assert (wallet.balance, wallet.frozen) == (model.balance(org), model.frozen(org))
        assert wallet.available >= 0
    for budget, counter in store.counters.items():
        assert (counter.held, counter.spent) == model.budget(budget)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=not LONG)
@given(histories())
def test_an_operation_that_is_refused_changes_nothing_for_the_others(ops: list[Op]) -> None:
    store = Store.new()
    outcomes = store.run(ops)
    refused = [(len(outcome) == 1 and outcome != OK) or outcome[0] == "replay" for outcome in outcomes]
    without = Store.new()
    kept = [op for op, bad in zip(ops, refused, strict=True) if not bad]
    seen = without.run(kept)
    assert seen == [outcome for outcome, bad in zip(outcomes, refused, strict=True) if not bad]
    assert without.figures() == store.figures()
