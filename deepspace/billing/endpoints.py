"""Wallet, transactions, budgets and receipts of an organisation; the payment provider's webhook."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError

from deepspace.accounts.guard import OrgAccess, Requires, SignedIn
from deepspace.accounts.principal import Principal
from deepspace.accounts.subjects import demand_subject
from deepspace.billing import schemas
from deepspace.billing.budgets import BudgetBook, BudgetService, remaining
from deepspace.billing.moves import Authority, MoneyMoves
from deepspace.billing.receipts import ReceiptService
from deepspace.billing.service import BillingService
from deepspace.billing.webhook import PaymentSecret, verify
from deepspace.kit.clock import SystemClock
from deepspace.kit.db import Database, Record
from deepspace.kit.errors import NotFound, ValidationFailed
from deepspace.kit.money import decimal_from_nano, nano
from deepspace.kit.page import Limit, Page, decode_cursor, page_of
from deepspace.kit.web import provided

router = APIRouter(prefix="/api", tags=["billing"])

Billing = Annotated[BillingService, provided(BillingService)]
Budgets = Annotated[BudgetService, provided(BudgetService)]
Db = Annotated[Database, provided(Database)]


def wallet_view(row: Record) -> schemas.WalletView:
    return schemas.WalletView(
        organization_id=row.org_id,
        currency=row.currency,
        balance=decimal_from_nano(row.balance_nano),
        frozen=decimal_from_nano(row.frozen_nano),
        credit_limit=decimal_from_nano(row.credit_limit_nano),
        available=decimal_from_nano(row.balance_nano - row.frozen_nano + row.credit_limit_nano),
        state=row.state,
    )


@router.get("/organizations/{org}/wallet", summary="Wallet of an organisation")
async def wallet(
    access: Annotated[OrgAccess, Requires("billing:read")], billing: Billing, db: Db
) -> schemas.WalletView:
    """Return balance, frozen amount and what is available."""
    async with db.tenant(access.org_id) as tx:
        return wallet_view(await billing.wallet(tx, access.org_id))


@router.get("/organizations/{org}/transactions", summary="Ledger entries of an organisation")
async def transactions(
    access: Annotated[OrgAccess, Requires("billing:read")],
    billing: Billing,
    db: Db,
    limit: Annotated[Limit, Query()] = 50,
    cursor: str | None = None,
) -> Page[schemas.EntryView]:
    """List holds, captures, releases, top-ups and the rest, newest first."""
    before = decode_cursor(cursor) if cursor is not None else None
    async with db.tenant(access.org_id) as tx:
        rows = await billing.entries(tx, access.org_id, limit + 1, before)

    def view(row: Record) -> schemas.EntryView:
        return schemas.EntryView(
            id=row.id,
            type=row.type,
            amount=decimal_from_nano(row.amount_nano),
            held=decimal_from_nano(row.held_nano) if row.held_nano is not None else None,
            currency=billing.currency,
            billing_ref_id=row.billing_ref_id,
            trace_id=row.trace_id,
            reason=row.reason,
            created_at=row.at,
        )

    return page_of(rows, limit, view, lambda row: (row.at, row.id))


def budget_view(row: Record) -> schemas.BudgetView:
    """Return a budget as people see it."""
    return schemas.BudgetView(
        id=row.id,
        scope=row.scope,
        scope_id=row.scope_id,
        period=row.period,
        limit=decimal_from_nano(row.limit_nano),
        spent=decimal_from_nano(row.spent_nano or 0),
        held=decimal_from_nano(row.held_nano or 0),
        remaining=remaining(row),
    )


@router.get("/organizations/{org}/budgets", summary="Budgets of an organisation")
async def budgets(
    access: Annotated[OrgAccess, Requires("billing:read")], service: Budgets, db: Db
) -> Page[schemas.BudgetView]:
    """List budgets with what they have spent and hold in the present period."""
    async with db.tenant(access.org_id) as tx:
        rows = await service.list(tx, access.org_id)
    return Page(items=[budget_view(row) for row in rows], next_cursor=None)


@router.post("/organizations/{org}/budgets", status_code=201, summary="Set a budget")
async def set_budget(
    body: schemas.BudgetBody,
    access: Annotated[OrgAccess, Requires("billing:write")],
    service: Budgets,
    book: Annotated[BudgetBook, provided(BudgetBook)],
    db: Db,
) -> schemas.BudgetView:
    """Set a limit on spending. It is hard: checked with the wallet in the same decision, under any race."""
    if body.scope_id is None and body.scope != "organization":
        raise ValidationFailed("A budget of that scope needs scope_id.", param="scope_id")
    scope_id = access.org_id if body.scope == "organization" or body.scope_id is None else body.scope_id
    if nano(body.limit) < 0:
        raise ValidationFailed("A limit is zero or more.", param="limit")
    async with db.tenant(access.org_id) as tx:
        await demand_subject(tx, access.org_id, body.scope, scope_id, param="scope_id")
        row = await service.set(
            tx,
            access.org_id,
            scope=body.scope,
            scope_id=scope_id,
            period=body.period,
            limit_nano=nano(body.limit),
        )
    book.forget(access.org_id)
    return budget_view(row)


@router.delete("/organizations/{org}/budgets/{budget}", status_code=204, summary="Remove a budget")
async def remove_budget(
    budget: int,
    access: Annotated[OrgAccess, Requires("billing:write")],
    service: Budgets,
    book: Annotated[BudgetBook, provided(BudgetBook)],
    db: Db,
) -> None:
    """Remove a budget; calls under way are not touched."""
    async with db.tenant(access.org_id) as tx:
        await service.remove(tx, access.org_id, budget)
    book.forget(access.org_id)


@router.post("/organizations/{org}/redeem", summary="Redeem a code")
async def redeem(
    body: schemas.RedeemBody,
    access: Annotated[OrgAccess, Requires("billing:write")],
    moves: Annotated[MoneyMoves, provided(MoneyMoves)],
    db: Db,
) -> schemas.WalletView:
    """Exchange a code for its amount, once, and return the wallet."""
    async with db.tenant(access.org_id) as tx:
        return wallet_view(await moves.redeem(tx, access.org_id, body.code, access.principal.user_id))


@router.get("/receipts/{billing_ref_id}", summary="Receipt of a call")
async def receipt(
    billing_ref_id: str,
    principal: Annotated[Principal, SignedIn],
    receipts: Annotated[ReceiptService, provided(ReceiptService)],
    db: Db,
) -> schemas.ReceiptView:
    """Return the signed receipt of a captured call of one of the caller's organisations."""
    for org_id in principal.memberships:
        if "billing:read" in principal.permissions_in(org_id):
            async with db.tenant(org_id) as tx:
                with suppress(NotFound):
                    return schemas.ReceiptView(**await receipts.receipt(tx, org_id, billing_ref_id))
    raise NotFound("There is no captured call with this reference, or it is not yours to see.")


@router.post("/webhooks/payments", status_code=204, summary="Payment event (Standard Webhooks)")
async def payment_event(
    request: Request,
    moves: Annotated[MoneyMoves, provided(MoneyMoves)],
    billing: Billing,
    secret: Annotated[PaymentSecret, provided(PaymentSecret)],
    clock: Annotated[SystemClock, provided(SystemClock)],
    db: Db,
) -> None:
    """Book a payment that a provider reports. Signed, within five minutes, counted once by `webhook-id`."""
    if secret.value is None:
        raise NotFound("No payment provider is configured.")
    body = await request.body()
    event_id = request.headers.get("webhook-id", "")
    timestamp, signatures = (
        request.headers.get("webhook-timestamp", ""),
        request.headers.get("webhook-signature", ""),
    )
    verify(secret.value, event_id, timestamp, signatures, body, clock.now())
    try:
        event = schemas.PaymentEvent.model_validate_json(body)
    except ValidationError as error:
        raise ValidationFailed(f"The event is not a payment event: {error.error_count()} faults.") from None
    if event.type != "payment.succeeded":
        return
    if event.data.currency != billing.currency:
        raise ValidationFailed(f"This platform keeps its books in {billing.currency}.", param="currency")
    by = Authority(None, "payment", f"payment:{event_id}")
    async with db.platform() as tx:
        await moves.topup(tx, event.data.organization_id, nano(event.data.amount), by)
