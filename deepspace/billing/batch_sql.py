"""Reading and writing the books of one batch. Wallets are locked first, by id, then budget counters, by
id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

from deepspace.billing.batch import Books, CounterState, HoldState, WalletState
from deepspace.billing.ledger import Capture, HoldRequest, Progress, Release, StoredAnswer
from deepspace.billing.rates import TOKEN_CLASSES, Usage
from deepspace.kit.bulk import BulkInsert, array_text
from deepspace.kit.ids import uuid7

NAMED_CLASSES = ("input", "cached_input", "cache_write", "output", "reasoning")
"""Token classes with a column of their own."""

_OTHER_CLASSES = tuple(name for name in TOKEN_CLASSES if name not in NAMED_CLASSES)
named_counts = attrgetter(*NAMED_CLASSES)
_other_counts = attrgetter(*_OTHER_CLASSES)

_LOCK_WALLETS = """
SELECT id, org_id, balance_nano, frozen_nano, credit_limit_nano, state = 'active', pg_current_xact_id()::text,
       now()
FROM wallets WHERE org_id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

_HOLD_COLUMNS = """
SELECT h.id, h.org_id, h.wallet_id, h.billing_ref_id, h.request_hash, h.state, h.amount_nano, h.captured_nano,
       h.trace_id, h.model, h.price_id, h.counter_ids, h.settled_at > now() - interval '24 hours' AS recent
"""

_HOLDS_BY_ID = _HOLD_COLUMNS + "FROM holds h WHERE h.id = ANY($1::text::uuid[])"

_REFERENCES = (
    _HOLD_COLUMNS
    + """, a.status, a.content_type, a.body
FROM unnest($1::uuid[], $2::text[]) AS wanted(org_id, ref)
JOIN holds h ON h.org_id = wanted.org_id AND h.billing_ref_id = wanted.ref AND h.state IN ('held', 'captured')
LEFT JOIN call_answers a ON a.hold_id = h.id
"""
)

_PERIOD = """
CASE b.period WHEN 'day' THEN (now() AT TIME ZONE 'UTC')::date
              WHEN 'month' THEN date_trunc('month', now() AT TIME ZONE 'UTC')::date
              ELSE DATE '2000-01-01' END
"""

_OPEN_COUNTERS = f"""
INSERT INTO budget_counters (org_id, budget_id, period_start)
SELECT b.org_id, b.id, {_PERIOD} FROM budgets b WHERE b.id = ANY($1::bigint[])
ON CONFLICT (budget_id, period_start) DO NOTHING
"""

_LOCK_COUNTERS = f"""
SELECT c.id, c.budget_id, b.limit_nano, c.held_nano, c.spent_nano, c.period_start = {_PERIOD} AS current
FROM budget_counters c JOIN budgets b ON b.id = c.budget_id
WHERE c.id = ANY($2::bigint[]) OR (b.id = ANY($1::bigint[]) AND c.period_start = {_PERIOD})
ORDER BY c.id FOR NO KEY UPDATE OF c
"""

_OPEN = BulkInsert(
    "holds",
    {
        "id": "uuid",
        "org_id": "uuid",
        "wallet_id": "bigint",
        "project_id": "uuid",
        "user_id": "uuid",
        "api_key_id": "uuid",
        "billing_ref_id": "text",
        "trace_id": "text",
        "request_hash": "bytea",
        "model": "text",
        "price_id": "bigint",
        "amount_nano": "bigint",
        "boot_id": "uuid",
        "expires_at": "timestamptz",
        "estimated_input_tokens": "bigint",
        "counter_ids": "bigint[]",
    },
)

_MOVE = BulkInsert(
    "transactions",
    {
        "id": "uuid",
        "org_id": "uuid",
        "debit_account": "bigint",
        "credit_account": "bigint",
        "amount_nano": "bigint",
        "type": "text",
        "hold_id": "uuid",
        "ref": "text",
    },
)

_USE = BulkInsert(
    "usage_records",
    {
        "hold_id": "uuid",
        "org_id": "uuid",
        "trace_id": "text",
        "model": "text",
        "channel_id": "uuid",
        "price_id": "bigint",
        "input_tokens": "bigint",
        "cached_input_tokens": "bigint",
        "cache_write_tokens": "bigint",
        "output_tokens": "bigint",
        "reasoning_tokens": "bigint",
        "other_tokens": "jsonb",
        "cost_nano": "bigint",
        "source": "text",
    },
)

_CHANGE = """
WITH ended AS (
  UPDATE holds h SET state = v.state, captured_nano = v.captured, settled_at = now(),
                     channel_id = coalesce(v.channel, h.channel_id)
  FROM unnest($1::text::uuid[], $2::text::text[], $3::text::bigint[], $4::text::uuid[])
       AS v(id, state, captured, channel)
  WHERE h.id = v.id),
counted AS (
  UPDATE budget_counters c SET held_nano = v.held, spent_nano = v.spent
  FROM unnest($5::text::bigint[], $6::text::bigint[], $7::text::bigint[]) AS v(id, held, spent)
  WHERE c.id = v.id)
UPDATE wallets w SET balance_nano = v.balance, frozen_nano = v.frozen, version = version + 1
FROM unnest($8::text::bigint[], $9::text::bigint[], $10::text::bigint[]) AS v(id, balance, frozen)
WHERE w.id = v.id
"""

_ANSWERS = """
INSERT INTO call_answers (hold_id, org_id, status, content_type, body)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::bytea[])
"""

_PROGRESS = """
UPDATE holds h SET progress_output_tokens = GREATEST(h.progress_output_tokens, v.output), channel_id =
v.channel,
                   upstream_request_id = coalesce(v.request, h.upstream_request_id)
FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::text[]) AS v(id, output, channel, request)
WHERE h.id = v.id AND h.state = 'held'
"""

_RENEW = """
UPDATE holds SET expires_at = now() + make_interval(secs => $2) WHERE id = ANY($1::uuid[]) AND state = 'held'
"""


async def read(connection: Any, holds: Sequence[HoldRequest], ends: Sequence[Capture | Release]) -> Books:
    """Lock and read everything that the operations touch."""
    books = Books()
    orgs = {op.org_id for op in holds} | {op.org_id for op in ends}
    for row in await connection.fetch(_LOCK_WALLETS, list(orgs)):
        books.wallets[row[1]] = WalletState(*row[:6])
        books.xid, books.now = row[6], row[7]
    if ends:
        for row in await connection.fetch(_HOLDS_BY_ID, array_text([op.hold_id for op in ends])):
            books.holds[row[0]] = _hold_state(row)
    late = [state for state in books.holds.values() if state.state == "expired"]
    given = [(op.org_id, op.billing_ref_id) for op in holds if op.reference_given]
    given += [(state.org_id, state.billing_ref_id) for state in late]
    if given:
        for row in await connection.fetch(_REFERENCES, [org for org, _ in given], [ref for _, ref in given]):
            state = _hold_state(row)
            state = books.holds.setdefault(state.id, state)
            if row["status"] is not None:
                state.answer = StoredAnswer(row["status"], row["content_type"], row["body"])
            books.references[state.org_id, state.billing_ref_id] = state
    budgets = sorted({budget for op in holds for budget in op.budget_ids})
    counters = sorted({counter for state in books.holds.values() for counter in state.counter_ids})
    if budgets or counters:
        await _read_counters(connection, books, budgets, counters)
    return books


async def _read_counters(connection: Any, books: Books, budgets: list[int], counters: list[int]) -> None:
    if budgets:
        await connection.execute(_OPEN_COUNTERS, budgets)
    wanted = set(budgets)
    for row in await connection.fetch(_LOCK_COUNTERS, budgets, counters):
        state = CounterState(*row[:5])
        books.counters[state.id] = state
        if row["current"] and state.budget_id in wanted:
            books.current_counter[state.budget_id] = state


def _hold_state(row: Any) -> HoldState:
    late_allowed = row["recent"] is not False
    return HoldState(*row[:11], counter_ids=tuple(row["counter_ids"]), late_allowed=late_allowed)


async def write(connection: Any, books: Books, boot_id: UUID) -> None:
    """Write what the decisions changed; the caller commits."""
    await _change(connection, books)  # first: a reference that was released is free for a hold of the batch
    if books.opened:
        await _write_opened(connection, books, boot_id)
    if books.captures:
        await _write_captures(connection, books)
    answered = [capture for capture in books.captures if capture.answer is not None]
    if answered:
        answers = [capture.answer for capture in answered if capture.answer is not None]
        await connection.execute(
            _ANSWERS,
            [capture.hold_id for capture in answered],
            [capture.org_id for capture in answered],
            [answer.status for answer in answers],
            [answer.content_type for answer in answers],
            [answer.body for answer in answers],
        )


async def _write_opened(connection: Any, books: Books, boot_id: UUID) -> None:
    if books.now is None:
        raise RuntimeError("no wallet was read, so no hold can have been opened")
    now = books.now
    await _OPEN.run(
        connection,
        [
            (
                request.id,
                request.org_id,
                state.wallet_id,
                request.project_id,
                request.user_id,
                request.api_key_id,
                request.billing_ref_id,
                request.trace_id,
                request.request_hash,
                request.model,
                request.price_id,
                state.amount,
                boot_id,
                now + timedelta(seconds=request.ttl_s),
                request.estimated_input_tokens,
                state.counter_ids,
            )
            for request, state in books.opened
        ],
    )


async def _change(connection: Any, books: Books) -> None:
    """Update holds that ended, budget counters and wallets, in one round trip."""
    wallets = [wallet for wallet in books.wallets.values() if wallet.changed]
    if not wallets:
        return
    counters = [counter for counter in books.counters.values() if counter.changed]
    channel_of = {capture.hold_id: capture.channel_id for capture in books.captures}
    await connection.execute(
        _CHANGE,
        array_text([state.id for state in books.settled]),
        array_text([state.state for state in books.settled]),
        array_text([state.captured for state in books.settled]),
        array_text([channel_of.get(state.id) for state in books.settled]),
        array_text([counter.id for counter in counters]),
        array_text([counter.held for counter in counters]),
        array_text([counter.spent for counter in counters]),
        array_text([wallet.id for wallet in wallets]),
        array_text([wallet.balance for wallet in wallets]),
        array_text([wallet.frozen for wallet in wallets]),
    )


async def _write_captures(connection: Any, books: Books) -> None:
    await _MOVE.run(
        connection,
        [
            (
                uuid7(),
                movement.hold.org_id,
                movement.debit_account,
                movement.credit_account,
                movement.amount,
                movement.type,
                movement.hold.id,
                str(movement.hold.id),
            )
            for movement in books.movements
        ],
    )
    await _USE.run(
        connection, [_usage_row(books.holds[capture.hold_id], capture) for capture in books.captures]
    )


def _usage_row(state: HoldState, capture: Capture) -> tuple[Any, ...]:
    return (
        state.id,
        state.org_id,
        state.trace_id,
        state.model,
        capture.channel_id,
        state.price_id,
        *named_counts(capture.usage),
        other_classes(capture.usage),
        capture.cost_nano,
        capture.source,
    )


def other_classes(usage: Usage) -> str | None:
    """Return the token classes without a column of their own, as JSON; None if there are none."""
    counts = _other_counts(usage)
    if not any(counts):
        return None
    return json.dumps({name: count for name, count in zip(_OTHER_CLASSES, counts, strict=True) if count})


async def write_progress(connection: Any, steps: Sequence[Progress]) -> None:
    """Note how far calls have come."""
    newest = {step.hold_id: step for step in steps}
    steps = list(newest.values())
    await connection.execute(
        _PROGRESS,
        [step.hold_id for step in steps],
        [step.output_tokens for step in steps],
        [step.channel_id for step in steps],
        [step.upstream_request_id for step in steps],
    )


async def renew(connection: Any, hold_ids: Sequence[UUID], ttl_s: float) -> None:
    """Push back the expiry of open holds that their owner still works on."""
    await connection.execute(_RENEW, list(hold_ids), ttl_s)


async def stands(connection: Any, opened: Sequence[UUID], ended: Sequence[UUID]) -> bool:
    """Tell whether these holds are there, and whether those have ended."""
    return await connection.fetchval(
        """
        SELECT (SELECT count(*) FROM holds WHERE id = ANY($1::uuid[])) = cardinality($1::uuid[])
           AND NOT EXISTS (SELECT 1 FROM holds WHERE id = ANY($2::uuid[]) AND state = 'held')
        """,
        list(opened),
        list(ended),
    )
