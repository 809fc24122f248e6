"""SQL of what an organisation's deletion counts and removes in billing."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import delete, func, select

from deepspace.billing.models import Budget, CallAnswer, Hold, TransactionRow, UsageRecord
from deepspace.kit.db import Transaction


class EndingRepository:
    """Counts of one organisation, and the removal of what goes."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id

    async def open_holds(self) -> int:
        """Return how many calls are under way."""
        query = select(func.count()).where(Hold.org_id == self._org_id, Hold.state == "held")
        return (await self._tx.execute(query)).scalar_one()

    async def budgets(self) -> int:
        """Return how many budgets there are."""
        query = select(func.count()).where(Budget.org_id == self._org_id)
        return (await self._tx.execute(query)).scalar_one()

    async def transactions(self) -> int:
        """Return how many movements of money there are."""
        query = select(func.count()).where(TransactionRow.org_id == self._org_id)
        return (await self._tx.execute(query)).scalar_one()

    async def usage_records(self) -> int:
        """Return how many calls were charged."""
        query = select(func.count()).where(UsageRecord.org_id == self._org_id)
        return (await self._tx.execute(query)).scalar_one()

    async def remove_budgets(self) -> None:
        """Delete every budget and its counters."""
        await self._tx.execute(delete(Budget).where(Budget.org_id == self._org_id))

    async def remove_answers(self) -> None:
        """Delete the answers that are kept to be answered again."""
        await self._tx.execute(delete(CallAnswer).where(CallAnswer.org_id == self._org_id))
