"""The ledger in PostgreSQL, single-operation form.

Every statement locks the wallet first, so operations on one wallet never deadlock. Sources: ledger design of
this project (docs/billing.md); the compare-and-set on `state` makes every settlement happen once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import asyncpg

from deepspace.billing.errors import HoldNotOpen, InsufficientFunds, LedgerUnavailable, WalletFrozen
from deepspace.billing.ledger import Capture, Captured, HoldRequest, Journal, Release
from deepspace.kit.ids import uuid7

_HOLD = """
WITH w AS (
  UPDATE wallets SET frozen_nano = frozen_nano + $12, version = version + 1
  WHERE org_id = $2 AND state = 'active' AND balance_nano - frozen_nano + credit_limit_nano >= $12
  RETURNING id, org_id)
INSERT INTO holds (id, org_id, wallet_id, project_id, user_id, api_key_id, billing_ref_id, trace_id,
                   request_hash, model, price_id, amount_nano, boot_id, expires_at)
SELECT $1, w.org_id, w.id, $3, $4, $5, $6, $7, $8, $9, $10, $12, $11, now() + make_interval(secs => $13)
FROM w
RETURNING id
"""

_LOCK = """
WITH l AS MATERIALIZED (
  SELECT w.id, w.balance_nano - w.frozen_nano + w.credit_limit_nano AS available
  FROM wallets w WHERE w.id = (SELECT wallet_id FROM holds WHERE id = $1) FOR NO KEY UPDATE)
"""

_CAPTURE = (  # made of constants only
    _LOCK
    + """,
h AS (
  UPDATE holds SET state = 'captured', settled_at = now(),
                   captured_nano = LEAST($2::bigint, amount_nano + GREATEST(l.available, 0))
  FROM l WHERE holds.id = $1 AND holds.wallet_id = l.id AND state = 'held' RETURNING holds.*),
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
FROM h WHERE wallets.id = h.wallet_id RETURNING h.captured_nano
"""
)

_RELEASE = (  # made of constants only
    _LOCK
    + """,
h AS (
  UPDATE holds SET state = 'released', settled_at = now()
  FROM l WHERE holds.id = $1 AND holds.wallet_id = l.id AND state = 'held' RETURNING holds.*)
UPDATE wallets SET frozen_nano = frozen_nano - h.amount_nano, version = version + 1
FROM h WHERE wallets.id = h.wallet_id RETURNING wallets.id
"""
)

_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InterfaceError,
    TimeoutError,
)


_create_pool: Any = cast("Any", asyncpg).create_pool  # only partly typed


class PostgresLedger:
    """The ledger on a small pool of its own, so that no report can starve it."""

    def __init__(self, url: str, journal: Journal, boot_id: UUID, *, pool_size: int = 4) -> None:
        """`boot_id` marks the holds of this process; a new one on every start."""
        self._url = url
        self._journal = journal
        self._boot_id = boot_id
        self._pool_size = pool_size
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close the pool once the operations under way are done."""
        if self._pool is not None:
            await self._pool.close()

    async def ping(self) -> None:
        """Raise LedgerUnavailable if the books cannot be reached."""
        async with self._connection() as connection:
            await connection.fetchval("SELECT 1")

    async def hold(self, request: HoldRequest) -> None:
        """Set money aside; see Ledger.hold."""
        async with self._connection() as connection:
            found = await connection.fetchrow(
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
                self._boot_id,
                request.amount_nano,
                request.ttl_s,
            )
            if found is None:
                query = "SELECT state FROM wallets WHERE org_id = $1"
                state = await connection.fetchval(query, request.org_id)
                raise WalletFrozen if state == "frozen" else InsufficientFunds

    async def capture(self, capture: Capture) -> Captured:
        """Settle a hold; see Ledger.capture."""
        counts = capture.usage.counts()
        named = ("input", "cached_input", "cache_write", "output", "reasoning")
        other = {name: count for name, count in counts.items() if name not in named}
        async with self._connection() as connection, connection.transaction():
            captured = await connection.fetchval(
                _CAPTURE,
                capture.hold_id,
                capture.cost_nano,
                uuid7(),
                uuid7(),
                capture.channel_id,
                *(counts.get(name, 0) for name in named),
                json.dumps(other) if other else None,
                capture.source,
            )
            if captured is None:
                raise HoldNotOpen
            await self._journal.append(connection, capture.journal)
        return Captured(captured, capture.cost_nano - captured)

    async def release(self, release: Release) -> None:
        """Give a hold back; see Ledger.release."""
        async with self._connection() as connection, connection.transaction():
            if await connection.fetchval(_RELEASE, release.hold_id) is None:
                raise HoldNotOpen
            await self._journal.append(connection, release.journal)

    async def note(self, journal: Sequence[Any]) -> None:
        """Write journal rows without money; see Ledger.note."""
        async with self._connection() as connection, connection.transaction():
            await self._journal.append(connection, journal)

    @asynccontextmanager
    async def _connection(self) -> AsyncGenerator[Any]:
        try:
            pool = await self._opened()
            async with pool.acquire(timeout=5) as connection:
                yield connection
        except _AWAY as error:
            raise LedgerUnavailable(headers={"retry-after": "2"}) from error

    async def _opened(self) -> Any:  # asyncpg is only partly typed
        async with self._opening:
            if self._pool is None:
                self._pool = await _create_pool(
                    self._url,
                    min_size=1,
                    max_size=self._pool_size,
                    timeout=5,
                    command_timeout=10,
                    server_settings={"synchronous_commit": "on", "application_name": "deepspace-ledger"},
                )
        return self._pool
