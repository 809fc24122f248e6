"""Usage records and their sums."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from deepspace.billing.usage_repository import GroupBy, UsageFilter, UsageRepository
from deepspace.kit.db import Record, Transaction

__all__ = ["GroupBy", "UsageFilter", "UsageService"]


class UsageService:
    """Reads what was used; nothing here changes anything."""

    async def records(
        self,
        tx: Transaction,
        org_id: UUID,
        wanted: UsageFilter,
        limit: int,
        before: tuple[datetime, UUID] | None,
    ) -> Sequence[Record]:
        """Return usage records of an organisation, newest first."""
        return await UsageRepository(tx, org_id).records(wanted, limit, before)

    async def summary(
        self, tx: Transaction, org_id: UUID, wanted: UsageFilter, group_by: GroupBy
    ) -> Sequence[Record]:
        """Return calls, tokens and cost by group."""
        return await UsageRepository(tx, org_id).summary(wanted, group_by)
