"""One operation in one statement, for when nothing else waits: fewer round trips than a batch of one.

Each locks the wallet first, like the batch, so the two never deadlock. They decide only the plain case;
anything else (a budget, a reference given by the client, a refusal to explain) returns None and goes the
batch's way.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from deepspace.billing.batch_sql import named_counts, other_classes
from deepspace.billing.ledger import Capture, Captured, HoldRequest
from deepspace.kit.ids import uuid7

_HOLD = """
WITH w AS (
  UPDATE wallets SET frozen_nano = frozen_nano + $12, version = version + 1
  WHERE org_id = $2 AND state = 'active' AND balance_nano - frozen_nano + credit_limit_nano >= $12
  RETURNING id, org_id)
INSERT INTO holds (id, org_id, wallet_id, project_id, user_id, api_key_id, billing_ref_id, trace_id,
                   request_hash, model, price_id, amount_nano, boot_id, expires_at, estimated_input_tokens)
SELECT $1, w.org_id, w.id, $3, $4, $5, $6, $7, $8, $9, $10, $12, $11, now() + make_interval(secs => $13), $14
FROM w
RETURNING id
"""

_CAPTURE = """
WITH l AS MATERIALIZED (
  SELECT id, balance_nano - frozen_nano + credit_limit_nano AS available
  FROM wallets WHERE org_id = $13 FOR NO KEY UPDATE),
h AS (
  UPDATE holds SET state = 'captured', settled_at = now(), channel_id = coalesce($5, channel_id),
                   captured_nano = LEAST($2::bigint, amount_nano + GREATEST(l.available, 0))
  FROM l WHERE holds.id = $1 AND holds.wallet_id = l.id AND state = 'held' AND counter_ids = '{}'
  RETURNING holds.*),
t AS (
  INSERT INTO transactions (id, org_id, debit_account, credit_account, amount_nano, type, hold_id, ref)
  SELECT $3, org_id, wallet_id, -1, captured_nano, 'capture', id, id::text FROM h WHERE captured_nano > 0),
a AS (
  INSERT INTO transactions (id, org_id, debit_account, credit_account, amount_nano, type, hold_id, ref)
  SELECT $4, org_id, -3, -1, $2 - captured_nano, 'absorb', id, id::text FROM h WHERE $2 > captured_nano),
u AS (
  INSERT INTO usage_records (hold_id, org_id, trace_id, model, channel_id, price_id, input_tokens,
    cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, other_tokens, cost_nano, source)
  SELECT id, org_id, trace_id, model, $5, price_id, $6, $7, $8, $9, $10, $11::jsonb, $2, $12 FROM h)
UPDATE wallets SET balance_nano = balance_nano - h.captured_nano, frozen_nano = frozen_nano - h.amount_nano,
                   version = version + 1
FROM h WHERE wallets.id = h.wallet_id RETURNING h.captured_nano, pg_current_xact_id()::text
"""


async def hold(connection: Any, request: HoldRequest, boot_id: UUID) -> bool:
    """Set money aside; False if the plain case does not apply and nothing was done."""
    if request.reference_given or request.budget_ids or request.at_least_nano is not None:
        return False
    found = await connection.fetchval(
        _HOLD,
        request.id,
        request.org_id,
        request.project_id,
        request.user_id,
        request.api_key_id,
        request.billing_ref_id,
        request.trace_id,
        request.request_hash,
        request.model,
        request.price_id,
        boot_id,
        request.amount_nano,
        request.ttl_s,
        request.estimated_input_tokens,
    )
    return found is not None


async def capture(connection: Any, request: Capture) -> tuple[Captured, str] | None:
    """Settle a hold on an open transaction and return the transaction's id with the result; None if the plain
    case does not apply and nothing was done."""
    if request.answer is not None:
        return None
    row = await connection.fetchrow(
        _CAPTURE,
        request.hold_id,
        request.cost_nano,
        uuid7(),
        uuid7(),
        request.channel_id,
        *named_counts(request.usage),
        other_classes(request.usage),
        request.source,
        request.org_id,
    )
    return (Captured(row[0], request.cost_nano - row[0]), row[1]) if row is not None else None
