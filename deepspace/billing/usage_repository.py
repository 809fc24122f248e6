"""SQL of usage: lists and sums for people's eyes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Date, String, cast, func, select, tuple_

from deepspace.billing.models import Hold, UsageRecord
from deepspace.kit.db import Record, Transaction

GroupBy = Literal["day", "model", "project", "user", "key"]

_GROUPS = {
    "day": cast(func.timezone("UTC", UsageRecord.created_at), Date),
    "model": UsageRecord.model,
    "project": Hold.project_id,
    "user": Hold.user_id,
    "key": Hold.api_key_id,
}


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which records: None is every one. `since` is included, `until` is not."""

    since: datetime | None = None
    until: datetime | None = None
    model: str | None = None
    project_id: UUID | None = None
    api_key_id: UUID | None = None


class UsageRepository:
    """Usage records of one organisation."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id

    async def records(
        self, wanted: UsageFilter, limit: int, before: tuple[datetime, UUID] | None
    ) -> Sequence[Record]:
        """Return records, newest first, that stand behind the position `before`."""
        query = select(
            UsageRecord.__table__, Hold.billing_ref_id, Hold.project_id, Hold.user_id, Hold.api_key_id
        ).join(Hold, Hold.id == UsageRecord.hold_id)
        query = query.where(*self._conditions(wanted))
        if before is not None:
            query = query.where(tuple_(UsageRecord.created_at, UsageRecord.hold_id) < before)
        query = query.order_by(UsageRecord.created_at.desc(), UsageRecord.hold_id.desc()).limit(limit)
        return (await self._tx.execute(query)).all()

    async def summary(self, wanted: UsageFilter, group_by: GroupBy) -> Sequence[Record]:
        """Return calls, tokens and cost by group; the dearest group first, days in order."""
        group = cast(_GROUPS[group_by], String).label("group")
        cost = func.sum(UsageRecord.cost_nano)
        query = (
            select(
                group,
                func.count().label("calls"),
                func.sum(
                    UsageRecord.input_tokens
                    + UsageRecord.cached_input_tokens
                    + UsageRecord.cache_write_tokens
                ).label("input_tokens"),
                func.sum(UsageRecord.output_tokens + UsageRecord.reasoning_tokens).label("output_tokens"),
                cost.label("cost_nano"),
            )
            .join(Hold, Hold.id == UsageRecord.hold_id)
            .where(*self._conditions(wanted))
            .group_by(group)
            .order_by(group if group_by == "day" else cost.desc())
            .limit(1000)
        )
        return (await self._tx.execute(query)).all()

    def _conditions(self, wanted: UsageFilter) -> list[Any]:
        found: list[Any] = [UsageRecord.org_id == self._org_id]
        if wanted.since is not None:
            found.append(UsageRecord.created_at >= wanted.since)
        if wanted.until is not None:
            found.append(UsageRecord.created_at < wanted.until)
        if wanted.model is not None:
            found.append(UsageRecord.model == wanted.model)
        if wanted.project_id is not None:
            found.append(Hold.project_id == wanted.project_id)
        if wanted.api_key_id is not None:
            found.append(Hold.api_key_id == wanted.api_key_id)
        return found
