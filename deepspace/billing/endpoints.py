"""Wallet and transactions of an organisation; prices and top-ups for operators."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from deepspace.accounts.guard import OrgAccess, Requires, RequiresOperator
from deepspace.accounts.principal import Principal
from deepspace.billing import schemas
from deepspace.billing.rates import Tier
from deepspace.billing.service import BillingService, PriceBook, price_from_row
from deepspace.kit.db import Database, Record
from deepspace.kit.errors import ValidationFailed
from deepspace.kit.money import decimal_from_nano, decimal_from_price, micro_per_million, nano
from deepspace.kit.page import Limit, Page, decode_cursor, page_of
from deepspace.kit.web import provided

router = APIRouter(prefix="/api", tags=["billing"])
admin_router = APIRouter(prefix="/api/admin", tags=["admin: billing"])

Billing = Annotated[BillingService, provided(BillingService)]
Db = Annotated[Database, provided(Database)]


def _wallet_view(row: Record) -> schemas.WalletView:
    return schemas.WalletView(
        organization_id=row.org_id,
        currency=row.currency,
        balance=decimal_from_nano(row.balance_nano),
        frozen=decimal_from_nano(row.frozen_nano),
        credit_limit=decimal_from_nano(row.credit_limit_nano),
        available=decimal_from_nano(row.balance_nano - row.frozen_nano + row.credit_limit_nano),
        state=row.state,
    )


def _price_view(row: Record) -> schemas.PriceView:
    price = price_from_row(row)
    return schemas.PriceView(
        id=price.id,
        model=price.model,
        currency=price.currency,
        per_million=price.per_million(),
        per_call=decimal_from_nano(price.per_call_nano),
        tiers=[
            {
                "from_input_tokens": tier.from_input_tokens,
                "per_million": {name: decimal_from_price(rate) for name, rate in tier.rates.items()},
            }
            for tier in price.tiers
        ],
        effective_at=row.valid.lower,
        ends_at=row.valid.upper,
    )


@router.get("/organizations/{org}/wallet", summary="Wallet of an organisation")
async def wallet(
    access: Annotated[OrgAccess, Requires("billing:read")], billing: Billing, db: Db
) -> schemas.WalletView:
    """Return balance, frozen amount and what is available."""
    async with db.transaction() as tx:
        return _wallet_view(await billing.wallet(tx, access.org_id))


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
    async with db.transaction() as tx:
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


@admin_router.post("/wallets/{organization}/topups", status_code=201, summary="Top up a wallet")
async def topup(
    organization: UUID,
    body: schemas.TopupBody,
    operator: Annotated[Principal, RequiresOperator("operator:wallets")],
    billing: Billing,
    db: Db,
) -> schemas.WalletView:
    """Book a payment and return the wallet after it."""
    async with db.transaction() as tx:
        row = await billing.topup(
            tx, organization, amount_nano=nano(body.amount), reason=body.reason, actor=operator.user_id
        )
    return _wallet_view(row)


@admin_router.get("/prices", summary="Price versions")
async def prices(
    _: Annotated[Principal, RequiresOperator("operator:prices")],
    billing: Billing,
    db: Db,
    model: str | None = None,
    limit: Annotated[Limit, Query()] = 50,
) -> Page[schemas.PriceView]:
    """List price versions, newest first."""
    async with db.transaction() as tx:
        rows = await billing.prices(tx, model, limit)
    return Page(items=[_price_view(row) for row in rows], next_cursor=None)


@admin_router.post("/prices", status_code=201, summary="Publish a price")
async def publish_price(
    body: schemas.PriceBody,
    operator: Annotated[Principal, RequiresOperator("operator:prices")],
    billing: Billing,
    book: Annotated[PriceBook, provided(PriceBook)],
    db: Db,
) -> schemas.PriceView:
    """Publish a price. Versions are never changed; the one in force ends when the new one begins."""
    if body.currency not in {None, billing.currency}:
        raise ValidationFailed(f"This platform keeps its books in {billing.currency}.", param="currency")
    async with db.transaction() as tx:
        row = await billing.publish_price(
            tx,
            model=body.model,
            rates={name: micro_per_million(rate) for name, rate in body.per_million.items()},
            per_call_nano=nano(body.per_call),
            tiers=[
                Tier(
                    tier.from_input_tokens,
                    {name: micro_per_million(rate) for name, rate in tier.per_million.items()},
                )
                for tier in body.tiers
            ],
            effective_at=body.effective_at,
            actor=operator.user_id,
        )
    book.forget(body.model)
    return _price_view(row)
