"""Are the books right? Invariants, recomputed costs, and the providers' own counts; for operators."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from deepspace.accounts.guard import RequiresOperator
from deepspace.accounts.principal import Principal
from deepspace.billing.invariants import CHECKS
from deepspace.billing.jobs import RECOMPUTED
from deepspace.billing.provider_checks import ProviderChecks
from deepspace.billing.reconciliation import wrong_costs
from deepspace.kit.db import Database, Record
from deepspace.kit.page import Limit, Page, decode_cursor, page_of
from deepspace.kit.web import provided

router = APIRouter(prefix="/api/admin/reconciliation", tags=["admin: reconciliation"])

Operator = Annotated[Principal, RequiresOperator("operator:wallets")]
Checks = Annotated[ProviderChecks, provided(ProviderChecks)]
Db = Annotated[Database, provided(Database)]


class InvariantView(BaseModel):
    """One invariant of the books."""

    name: str
    text: str
    rows: int = Field(description="How many rows break it; 0 when all is well.")


class BooksView(BaseModel):
    """The state of the books, seen just now."""

    ok: bool
    invariants: list[InvariantView]
    recomputed_calls: int = Field(description="How many of the newest calls were recomputed.")
    wrong_costs: list[UUID] = Field(description="Calls among them whose cost is not tokens × price.")


class CountView(BaseModel):
    """What one side counted."""

    requests: int
    input_tokens: int
    output_tokens: int
    models: dict[str, dict[str, int]]


class ProviderCheckBody(BaseModel):
    """A period to hold against a channel's provider: whole hours, past, at most 31 days."""

    model_config = ConfigDict(extra="forbid")

    channel_id: UUID
    start: AwareDatetime
    end: AwareDatetime


class ProviderCheckView(BaseModel):
    """What the books say of a channel in a period, and what its provider says."""

    id: UUID
    channel_id: UUID
    start: datetime
    end: datetime
    status: Literal["equal", "differs", "unavailable"]
    reason: str
    ours: CountView
    theirs: CountView | None
    created_at: datetime


def _view(row: Record) -> ProviderCheckView:
    theirs: dict[str, Any] = row.theirs
    return ProviderCheckView(
        id=row.id,
        channel_id=row.channel_id,
        start=row.period_start,
        end=row.period_end,
        status=row.status,
        reason=row.reason,
        ours=CountView(**row.ours),
        theirs=CountView(**theirs) if theirs else None,
        created_at=row.created_at,
    )


@router.get("", summary="State of the books")
async def books(_: Operator, db: Db) -> BooksView:
    """Check every invariant and recompute the newest costs, now. The worker does so every minute."""
    async with db.platform() as tx:
        found = [
            InvariantView(name=check.name, text=check.text, rows=await check.count(tx)) for check in CHECKS
        ]
        wrong = await wrong_costs(tx, RECOMPUTED)
    ok = not wrong and not any(view.rows for view in found)
    return BooksView(ok=ok, invariants=found, recomputed_calls=RECOMPUTED, wrong_costs=list(wrong))


@router.get("/provider-checks", summary="Checks against the providers' counts")
async def provider_checks(
    _: Operator, checks: Checks, limit: Annotated[Limit, Query()] = 50, cursor: str | None = None
) -> Page[ProviderCheckView]:
    """List findings, newest first."""
    before = decode_cursor(cursor) if cursor is not None else None
    rows = await checks.list(limit + 1, before)
    return page_of(rows, limit, _view, lambda row: (row.created_at, row.id))


@router.post("/provider-checks", status_code=201, summary="Check a period against a provider")
async def check_provider(body: ProviderCheckBody, _: Operator, checks: Checks) -> ProviderCheckView:
    """Ask the channel's provider what it counted, and keep the finding beside ours."""
    return _view(await checks.check(body.channel_id, body.start, body.end))
