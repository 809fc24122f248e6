"""Verbs of the billing slice outside the hot path. They take a transaction and never commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from deepspace.billing.errors import PriceMissing, PriceOverlaps
from deepspace.billing.rates import TOKEN_CLASSES, Price, Tier
from deepspace.billing.repository import PriceRepository, WalletRepository
from deepspace.kit.cache import ReadThrough
from deepspace.kit.db import Database, Record, Transaction
from deepspace.kit.errors import NotFound, ValidationFailed


def price_from_row(row: Record) -> Price:
    """Return a price version as a value."""
    tiers = tuple(Tier(tier["from_input_tokens"], tier["rates"]) for tier in row.tiers)
    return Price(row.id, row.model, row.currency, row.rates, row.per_call_nano, tiers)


class PriceBook:
    """The prices in force, remembered for a second: the hot path asks for one on every call."""

    def __init__(self, database: Database, *, max_age_s: float = 1.0) -> None:
        """A new price is seen at most `max_age_s` after it takes effect."""
        self._database = database
        self._prices = ReadThrough(self._load, max_age_s=max_age_s, max_entries=5_000)

    async def find(self, model: str) -> Price | None:
        """Return the price of a model now, or None."""
        return await self._prices.get(model)

    async def require(self, model: str) -> Price:
        """Return the price of a model now, or raise PriceMissing: unknown is refused, never free."""
        price = await self.find(model)
        if price is None:
            raise PriceMissing(f"The model '{model}' has no price, so it cannot be called.", param="model")
        return price

    def forget(self, model: str) -> None:
        """Look the price up again at the next call."""
        self._prices.forget(model)

    async def _load(self, model: str) -> Price | None:
        async with self._database.platform() as tx:
            row = await PriceRepository(tx).current(model)
        return price_from_row(row) if row is not None else None


class BillingService:
    """Wallets, prices and the lists people read."""

    def __init__(self, currency: str) -> None:
        """`currency` is the platform's one currency."""
        self.currency = currency

    async def open_wallet(self, tx: Transaction, org_id: UUID) -> None:
        """Give an organisation its wallet; nothing happens if it has one."""
        await WalletRepository(tx, org_id).open(self.currency)

    async def wallet(self, tx: Transaction, org_id: UUID) -> Record:
        """Return the wallet of an organisation."""
        wallet = await WalletRepository(tx, org_id).wallet()
        if wallet is None:
            raise NotFound("This organisation has no wallet.")
        return wallet

    async def publish_price(
        self,
        tx: Transaction,
        *,
        model: str,
        rates: Mapping[str, int],
        per_call_nano: int,
        tiers: Sequence[Tier],
        effective_at: datetime | None,
        actor: UUID | None,
    ) -> Record:
        """Publish a price from `effective_at` (None: now); the one in force until then ends at that
        moment."""
        for scale in (rates, *(tier.rates for tier in tiers)):
            unknown = sorted(set(scale) - set(TOKEN_CLASSES))
            if unknown:
                raise ValidationFailed(f"Unknown token class: {', '.join(unknown)}.", param="per_million")
        prices = PriceRepository(tx)
        latest = await prices.latest_start(model)
        start = effective_at or await prices.now()
        if latest is not None and latest >= start:
            raise PriceOverlaps
        await prices.close_open(model, start)
        price_id = await prices.add(
            valid_from=start,
            model=model,
            currency=self.currency,
            rates=dict(rates),
            per_call_nano=per_call_nano,
            tiers=[
                {"from_input_tokens": tier.from_input_tokens, "rates": dict(tier.rates)} for tier in tiers
            ],
            created_by=actor,
        )
        row = await prices.price(price_id)
        if row is None:
            raise NotFound
        return row

    async def current_price(self, tx: Transaction, model: str) -> Record | None:
        """Return the price of a model now, or None."""
        return await PriceRepository(tx).current(model)

    async def prices(self, tx: Transaction, model: str | None, limit: int) -> Sequence[Record]:
        """Return price versions, newest first."""
        return await PriceRepository(tx).prices(model, limit)

    async def entries(
        self, tx: Transaction, org_id: UUID, limit: int, before: tuple[datetime, UUID] | None
    ) -> Sequence[Record]:
        """Return ledger entries of an organisation, newest first."""
        return await WalletRepository(tx, org_id).entries(limit, before)
