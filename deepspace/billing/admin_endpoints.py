"""Prices, wallets, refunds and redeem codes, for operators."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query

from deepspace.accounts.guard import RequiresOperator
from deepspace.accounts.principal import Principal
from deepspace.billing import schemas
from deepspace.billing.endpoints import wallet_view
from deepspace.billing.moves import Authority, MoneyMoves
from deepspace.billing.price_list import apply_price_list, rates_of, read_csv, tiers_of
from deepspace.billing.service import BillingService, PriceBook, price_from_row
from deepspace.kit.db import Database, Record
from deepspace.kit.errors import ValidationFailed
from deepspace.kit.money import decimal_from_nano, decimal_from_price, nano
from deepspace.kit.page import Limit, Page
from deepspace.kit.web import provided

router = APIRouter(prefix="/api/admin", tags=["admin: billing"])

Billing = Annotated[BillingService, provided(BillingService)]
Moves = Annotated[MoneyMoves, provided(MoneyMoves)]
Book = Annotated[PriceBook, provided(PriceBook)]
Db = Annotated[Database, provided(Database)]
OnWallets = Annotated[Principal, RequiresOperator("operator:wallets")]
OnPrices = Annotated[Principal, RequiresOperator("operator:prices")]
Reference = Annotated[
    str | None,
    Header(alias="idempotency-key", max_length=200, description="Makes a retry safe: once per key."),
]


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


def _by(operator: Principal, reason: str, reference: str | None) -> Authority:
    return Authority(operator.user_id, reason, f"operator:{reference}" if reference is not None else None)


@router.post("/wallets/{organization}/topups", status_code=201, summary="Top up a wallet")
async def topup(
    organization: UUID,
    body: schemas.TopupBody,
    operator: OnWallets,
    moves: Moves,
    db: Db,
    key: Reference = None,
) -> schemas.WalletView:
    """Book a payment and return the wallet after it."""
    by = _by(operator, body.reason, key)
    async with db.platform() as tx:
        return wallet_view(await moves.topup(tx, organization, nano(body.amount), by))


@router.post("/wallets/{organization}/adjustments", status_code=201, summary="Adjust a wallet")
async def adjust(
    organization: UUID,
    body: schemas.TopupBody,
    operator: OnWallets,
    moves: Moves,
    db: Db,
    key: Reference = None,
) -> schemas.WalletView:
    """Correct a balance; a negative amount takes money away, as far as it is available."""
    by = _by(operator, body.reason, key)
    async with db.platform() as tx:
        return wallet_view(await moves.adjust(tx, organization, nano(body.amount), by))


@router.patch("/wallets/{organization}", summary="Set a credit limit, freeze a wallet")
async def change_wallet(
    organization: UUID, body: schemas.WalletPatch, _: OnWallets, moves: Moves, db: Db
) -> schemas.WalletView:
    """Change what the wallet may do; a frozen wallet admits no new call, calls under way are settled."""
    limit = nano(body.credit_limit) if body.credit_limit is not None else None
    async with db.platform() as tx:
        return wallet_view(await moves.change_wallet(tx, organization, limit, body.state))


@router.post("/transactions/{billing_ref_id}/refund", status_code=201, summary="Refund a call")
async def refund(
    billing_ref_id: str,
    body: schemas.RefundBody,
    operator: OnWallets,
    moves: Moves,
    db: Db,
    key: Reference = None,
) -> schemas.WalletView:
    """Give back what a call cost, or a part of it; never more than was captured."""
    amount = nano(body.amount) if body.amount is not None else None
    by = _by(operator, body.reason, key)
    async with db.platform() as tx:
        return wallet_view(await moves.refund(tx, billing_ref_id, amount, body.organization_id, by))


@router.post("/redeem-codes", status_code=201, summary="Make redeem codes")
async def make_codes(
    body: schemas.RedeemCodesBody, operator: OnWallets, moves: Moves, db: Db
) -> schemas.RedeemCodesView:
    """Make a lot of codes of one amount. They are in this answer and nowhere else."""
    async with db.platform() as tx:
        codes = await moves.make_codes(
            tx,
            amount_nano=nano(body.amount),
            count=body.count,
            note=body.note,
            expires_at=body.expires_at,
            actor=operator.user_id,
        )
    return schemas.RedeemCodesView(codes=codes)


@router.get("/prices", summary="Price versions")
async def prices(
    _: OnPrices, billing: Billing, db: Db, model: str | None = None, limit: Annotated[Limit, Query()] = 50
) -> Page[schemas.PriceView]:
    """List price versions, newest first."""
    async with db.platform() as tx:
        rows = await billing.prices(tx, model, limit)
    return Page(items=[_price_view(row) for row in rows], next_cursor=None)


@router.post("/prices", status_code=201, summary="Publish a price")
async def publish_price(
    body: schemas.PriceBody, operator: OnPrices, billing: Billing, book: Book, db: Db
) -> schemas.PriceView:
    """Publish a price. Versions are never changed; the one in force ends when the new one begins."""
    _check_currency(body, billing)
    async with db.platform() as tx:
        row = await billing.publish_price(
            tx,
            model=body.model,
            rates=rates_of(body.per_million),
            per_call_nano=nano(body.per_call),
            tiers=tiers_of(body),
            effective_at=body.effective_at,
            actor=operator.user_id,
        )
    book.forget(body.model)
    return _price_view(row)


@router.post("/prices/import", summary="Import a price list")
async def import_prices(
    body: schemas.PriceImportBody, operator: OnPrices, billing: Billing, book: Book, db: Db
) -> schemas.PriceImportView:
    """Publish what differs from the prices in force, all or nothing; `dry_run` (the default) only tells."""
    items = [*body.items, *(read_csv(body.csv) if body.csv is not None else ())]
    for item in items:
        _check_currency(item, billing)
    async with db.platform() as tx:
        changes = await apply_price_list(tx, billing, items, operator.user_id)
        if body.dry_run:
            await tx.rollback()
    for item in items:
        book.forget(item.model)
    return schemas.PriceImportView(dry_run=body.dry_run, changes=changes)


def _check_currency(body: schemas.PriceBody, billing: BillingService) -> None:
    if body.currency not in {None, billing.currency}:
        raise ValidationFailed(f"This platform keeps its books in {billing.currency}.", param="currency")
