"""The SQL of provider checks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from deepspace.billing.models import ProviderCheck, UsageRecord
from deepspace.kit.db import Record, Transaction


class ProviderCheckRepository:
    """Findings, and what usage records say of a channel: platform-wide."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's transaction."""
        self._tx = tx

    async def used(self, channel_id: UUID, start: datetime, end: datetime) -> Sequence[Record]:
        """Return (model, requests, input_tokens, output_tokens) by model, in the provider's way of counting:
        cached input is input, reasoning is output."""
        query = (
            select(
                UsageRecord.model,
                func.count().label("requests"),
                func.sum(
                    UsageRecord.input_tokens
                    + UsageRecord.cached_input_tokens
                    + UsageRecord.cache_write_tokens
                ).label("input_tokens"),
                func.sum(UsageRecord.output_tokens + UsageRecord.reasoning_tokens).label("output_tokens"),
            )
            .where(
                UsageRecord.channel_id == channel_id,
                UsageRecord.created_at >= start,
                UsageRecord.created_at < end,
            )
            .group_by(UsageRecord.model)
        )
        return (await self._tx.execute(query)).all()

    async def keep(self, **values: Any) -> Record:
        """Insert a finding, or replace the one of the same channel and period."""
        query = insert(ProviderCheck).values(**values)
        changed = {
            name: query.excluded[name] for name in ("status", "reason", "ours", "theirs", "created_at")
        }
        query = query.on_conflict_do_update(
            index_elements=["channel_id", "period_start", "period_end"], set_=changed
        ).returning(ProviderCheck.__table__)
        return (await self._tx.execute(query)).one()

    async def find(self, channel_id: UUID, start: datetime, end: datetime) -> Record | None:
        """Return the finding of a channel's period."""
        query = select(ProviderCheck.__table__).where(
            ProviderCheck.channel_id == channel_id,
            ProviderCheck.period_start == start,
            ProviderCheck.period_end == end,
        )
        return (await self._tx.execute(query)).one_or_none()

    async def list(self, limit: int, before: tuple[datetime, UUID] | None) -> Sequence[Record]:
        """Return up to `limit` findings, newest first, that stand behind the position `before`."""
        query = select(ProviderCheck.__table__)
        if before is not None:
            query = query.where(tuple_(ProviderCheck.created_at, ProviderCheck.id) < before)
        order = (ProviderCheck.created_at.desc(), ProviderCheck.id.desc())
        return (await self._tx.execute(query.order_by(*order).limit(limit))).all()
