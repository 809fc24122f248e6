"""SQL of budgets for everything but the hot path (that is batch_sql.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from deepspace.kit.db import Record, Transaction

PERIOD_START = """
CASE b.period WHEN 'day' THEN (now() AT TIME ZONE 'UTC')::date
              WHEN 'month' THEN date_trunc('month', now() AT TIME ZONE 'UTC')::date
              ELSE DATE '2000-01-01' END
"""

_LIST = f"""
SELECT b.id, b.scope, b.scope_id, b.period, b.limit_nano, b.created_at, c.held_nano, c.spent_nano
FROM budgets b LEFT JOIN budget_counters c ON c.budget_id = b.id AND c.period_start = {PERIOD_START}
WHERE b.org_id = :org AND (CAST(:id AS bigint) IS NULL OR b.id = :id) ORDER BY b.id
"""

_PUT = """
INSERT INTO budgets (org_id, scope, scope_id, period, limit_nano)
VALUES (:org, :scope, :scope_id, :period, :limit)
ON CONFLICT (org_id, scope, scope_id, period) DO UPDATE SET limit_nano = excluded.limit_nano RETURNING id
"""

# What the scope has spent and holds in the period already, from the holds themselves. Calls that are open
# now are not tied to the new counter, so they count as spent by what they hold.
_OPEN_COUNTER = f"""
INSERT INTO budget_counters (org_id, budget_id, period_start, spent_nano)
SELECT b.org_id, b.id, {PERIOD_START}, coalesce((
  SELECT sum(CASE h.state WHEN 'held' THEN h.amount_nano ELSE h.captured_nano - h.refunded_nano END)
  FROM holds h WHERE h.org_id = b.org_id AND h.state IN ('held', 'captured')
    AND h.created_at >= ({PERIOD_START}) AT TIME ZONE 'UTC'
    AND CASE b.scope WHEN 'organization' THEN true WHEN 'project' THEN h.project_id = b.scope_id
                     WHEN 'user' THEN h.user_id = b.scope_id WHEN 'api_key' THEN h.api_key_id = b.scope_id
                     ELSE false END), 0)
FROM budgets b WHERE b.id = :id AND b.org_id = :org
ON CONFLICT (budget_id, period_start) DO NOTHING
"""


class BudgetRepository:
    """Budgets of one organisation."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id

    async def budgets(self) -> Sequence[Record]:
        """Return the budgets with their present counters."""
        return (await self._run(_LIST, id=None)).all()

    async def budget(self, budget_id: int) -> Record | None:
        """Return a budget with its present counter."""
        return (await self._run(_LIST, id=budget_id)).one_or_none()

    async def put(self, scope: str, scope_id: UUID, period: str, limit_nano: int) -> int:
        """Insert a budget or change its limit, and return its id."""
        found = await self._run(_PUT, scope=scope, scope_id=scope_id, period=period, limit=limit_nano)
        return found.scalar_one()

    async def open_counter(self, budget_id: int) -> None:
        """Begin the present period's counter with what was spent in it already."""
        await self._run(_OPEN_COUNTER, id=budget_id)

    async def remove(self, budget_id: int) -> None:
        """Delete a budget and its counters."""
        await self._run("DELETE FROM budgets WHERE id = :id AND org_id = :org", id=budget_id)

    async def _run(self, sql: str, **values: Any) -> Any:
        return await self._tx.execute(text(sql), {"org": self._org_id, **values})
