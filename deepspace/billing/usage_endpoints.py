"""What an organisation used: records call by call, and sums by day, model, project, user or key."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel

from deepspace.accounts.guard import OrgAccess, Requires
from deepspace.billing.service import BillingService
from deepspace.billing.story import usage_from_row
from deepspace.billing.usage import GroupBy, UsageFilter, UsageService
from deepspace.kit.db import Database, Record
from deepspace.kit.money import decimal_from_nano
from deepspace.kit.page import Limit, Page, decode_cursor, page_of
from deepspace.kit.web import provided

router = APIRouter(prefix="/api", tags=["billing"])

Usages = Annotated[UsageService, provided(UsageService)]
Billing = Annotated[BillingService, provided(BillingService)]
Db = Annotated[Database, provided(Database)]


class UsageView(BaseModel):
    """What one call used and cost."""

    billing_ref_id: str
    trace_id: str
    model: str
    project_id: UUID | None
    user_id: UUID | None
    api_key_id: UUID | None
    input_tokens: int
    output_tokens: int
    by_class: dict[str, int]
    source: str
    price_version: int
    cost: str
    currency: str
    created_at: datetime


class UsageSum(BaseModel):
    """Calls, tokens and cost of one group; `group` is null for calls without one (a session has no key)."""

    group: str | None
    calls: int
    input_tokens: int
    output_tokens: int
    cost: str
    currency: str


def _filter(
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    model: Annotated[str | None, Query(max_length=200)] = None,
    project_id: UUID | None = None,
    api_key_id: UUID | None = None,
) -> UsageFilter:
    return UsageFilter(since, until, model, project_id, api_key_id)


Filter = Annotated[UsageFilter, Depends(_filter)]


@router.get("/organizations/{org}/usage", summary="Usage records of an organisation")
async def usage(
    access: Annotated[OrgAccess, Requires("billing:read")],
    wanted: Filter,
    *,
    service: Usages,
    billing: Billing,
    db: Db,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
) -> Page[UsageView]:
    """List captured calls, newest first, with tokens by class and cost."""
    before = decode_cursor(cursor) if cursor is not None else None
    async with db.tenant(access.org_id) as tx:
        rows = await service.records(tx, access.org_id, wanted, limit + 1, before)
    return page_of(
        rows, limit, lambda row: _view(row, billing.currency), lambda row: (row.created_at, row.hold_id)
    )


@router.get("/organizations/{org}/usage/summary", summary="Usage of an organisation, summed")
async def usage_summary(
    access: Annotated[OrgAccess, Requires("billing:read")],
    wanted: Filter,
    service: Usages,
    billing: Billing,
    db: Db,
    group_by: GroupBy = "day",
) -> Page[UsageSum]:
    """Sum calls, tokens and cost by day (UTC), model, project, user or key."""
    async with db.tenant(access.org_id) as tx:
        rows = await service.summary(tx, access.org_id, wanted, group_by)
    items = [
        UsageSum(
            group=row.group,
            calls=row.calls,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            cost=decimal_from_nano(int(row.cost_nano)),
            currency=billing.currency,
        )
        for row in rows
    ]
    return Page(items=items, next_cursor=None)


def _view(row: Record, currency: str) -> UsageView:
    usage = usage_from_row(row)
    fields: dict[str, Any] = {
        "input_tokens": usage.input_total,
        "output_tokens": usage.output_total,
        "by_class": usage.counts(),
    }
    return UsageView(
        billing_ref_id=row.billing_ref_id,
        trace_id=row.trace_id,
        model=row.model,
        project_id=row.project_id,
        user_id=row.user_id,
        api_key_id=row.api_key_id,
        source=row.source,
        price_version=row.price_id,
        cost=decimal_from_nano(row.cost_nano),
        currency=currency,
        created_at=row.created_at,
        **fields,
    )
