"""SQL of the billing slice for everything but the hot path (that is ledger_store.py)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, func, insert, literal, or_, select, tuple_, union_all, update
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.dialects.postgresql import insert as upsert

from deepspace.billing.models import CallAnswer, Hold, PriceRow, TransactionRow, UsageRecord, Wallet
from deepspace.kit.db import Record, Transaction


class PriceRepository:
    """Prices: platform-wide."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's transaction."""
        self._tx = tx

    async def current(self, model: str) -> Record | None:
        """Return the price of a model that holds now, by the database's clock."""
        query = select(PriceRow.__table__).where(PriceRow.model == model, PriceRow.valid.contains(func.now()))
        return (await self._tx.execute(query)).one_or_none()

    async def price(self, price_id: int) -> Record | None:
        """Return a version of a price."""
        return (
            await self._tx.execute(select(PriceRow.__table__).where(PriceRow.id == price_id))
        ).one_or_none()

    async def all(self) -> Sequence[Record]:
        """Return every version of every price."""
        return (await self._tx.execute(select(PriceRow.__table__))).all()

    async def prices(self, model: str | None, limit: int) -> Sequence[Record]:
        """Return versions, newest first."""
        query = select(PriceRow.__table__).order_by(PriceRow.id.desc()).limit(limit)
        if model is not None:
            query = query.where(PriceRow.model == model)
        return (await self._tx.execute(query)).all()

    async def latest_start(self, model: str) -> datetime | None:
        """Return when the newest price of a model begins; the caller holds the model's lock."""
        await self._tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"price:{model}", 0))))
        return await self._tx.scalar(
            select(func.max(func.lower(PriceRow.valid))).where(PriceRow.model == model)
        )

    async def close_open(self, model: str, at: datetime) -> None:
        """End the open price of a model at `at`."""
        await self._tx.execute(
            update(PriceRow)
            .where(PriceRow.model == model, func.upper_inf(PriceRow.valid))
            .values(valid=func.tstzrange(func.lower(PriceRow.valid), at))
        )

    async def add(self, *, valid_from: datetime, **values: Any) -> int:
        """Insert a version that is open-ended from `valid_from` and return its id."""
        statement = insert(PriceRow).values(valid=Range(valid_from, None), **values).returning(PriceRow.id)
        return (await self._tx.execute(statement)).scalar_one()

    async def now(self) -> datetime:
        """Return the transaction's time by the database's clock."""
        return (await self._tx.execute(select(func.now()))).scalar_one()


class WalletRepository:
    """Wallet, transactions, holds and usage of one organisation."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id

    async def open(self, currency: str) -> None:
        """Create the wallet if there is none."""
        statement = upsert(Wallet).values(org_id=self._org_id, currency=currency)
        await self._tx.execute(statement.on_conflict_do_nothing(index_elements=["org_id"]))

    async def wallet(self) -> Record | None:
        """Return the wallet."""
        query = select(Wallet.__table__).where(Wallet.org_id == self._org_id)
        return (await self._tx.execute(query)).one_or_none()

    async def entries(self, limit: int, before: tuple[datetime, UUID] | None) -> Sequence[Record]:
        """Return ledger entries, newest first: money that moved, holds that are open, holds that were
        released."""
        moved = select(
            TransactionRow.id,
            TransactionRow.type.label("type"),
            TransactionRow.amount_nano,
            TransactionRow.created_at.label("at"),
            TransactionRow.hold_id,
            TransactionRow.reason,
        ).where(TransactionRow.org_id == self._org_id)
        common = (Hold.id.label("hold_id"), literal("").label("reason"))
        # A captured call is one entry, its capture, which says what was held; both ways in have an index.
        held = [
            select(Hold.id, literal("hold"), Hold.amount_nano, Hold.created_at, *common).where(
                Hold.org_id == self._org_id, state
            )
            for state in (Hold.state == "held", Hold.state.in_(("released", "expired")))
        ]
        ended = select(Hold.id, literal("release"), Hold.amount_nano, Hold.settled_at, *common).where(
            Hold.org_id == self._org_id, Hold.state.in_(("released", "expired"))
        )
        entry = union_all(moved, *held, ended).subquery()
        refs = select(
            entry, Hold.billing_ref_id, Hold.trace_id, Hold.amount_nano.label("held_nano")
        ).outerjoin(Hold, and_(Hold.id == entry.c.hold_id, Hold.org_id == self._org_id))
        if before is not None:
            refs = refs.where(tuple_(entry.c.at, entry.c.id) < before)
        refs = refs.order_by(entry.c.at.desc(), entry.c.id.desc(), entry.c.type.desc()).limit(limit)
        return (await self._tx.execute(refs)).all()

    async def calls_of_trace(self, trace_id: str, hold_ids: Sequence[UUID]) -> Sequence[Record]:
        """Return the holds named, and the open ones of a trace, with their usage, newest first."""
        query = (
            select(
                Hold.__table__,
                UsageRecord.input_tokens,
                UsageRecord.cached_input_tokens,
                UsageRecord.cache_write_tokens,
                UsageRecord.output_tokens,
                UsageRecord.reasoning_tokens,
                UsageRecord.other_tokens,
                UsageRecord.cost_nano,
                UsageRecord.source,
            )
            .outerjoin(UsageRecord, UsageRecord.hold_id == Hold.id)
            .where(
                Hold.org_id == self._org_id,
                or_(Hold.id.in_(hold_ids), and_(Hold.trace_id == trace_id, Hold.state == "held")),
            )
            .order_by(Hold.created_at.desc(), Hold.id.desc())
        )
        return (await self._tx.execute(query)).all()

    async def transactions_of_hold(self, hold_id: UUID) -> Sequence[Record]:
        """Return the movements of a call, oldest first."""
        query = (
            select(TransactionRow.__table__)
            .where(
                TransactionRow.org_id == self._org_id,
                or_(
                    and_(TransactionRow.type.in_(("capture", "absorb")), TransactionRow.ref == str(hold_id)),
                    and_(TransactionRow.type == "refund", TransactionRow.hold_id == hold_id),
                ),
            )
            .order_by(TransactionRow.created_at, TransactionRow.id)
        )
        return (await self._tx.execute(query)).all()


async def orgs_of_trace(tx: Transaction, trace_id: str) -> Sequence[UUID]:
    """Return the organisations with open calls of a trace: for operators, who look across tenants."""
    query = select(Hold.org_id).where(Hold.trace_id == trace_id, Hold.state == "held").distinct()
    return (await tx.execute(query)).scalars().all()


async def turn_hold(tx: Transaction, hold_id: UUID, model: str, price_id: int) -> bool:
    """Make an open hold one of another model and price; False if it has ended."""
    statement = (
        update(Hold).where(Hold.id == hold_id, Hold.state == "held").values(model=model, price_id=price_id)
    )
    return (await tx.execute(statement.returning(Hold.id))).one_or_none() is not None


async def overdue_holds(tx: Transaction, limit: int) -> Sequence[Record]:
    """Return open holds whose owner has given no sign of life, by the database's clock: for the sweeper."""
    query = (
        select(Hold.__table__)
        .where(Hold.state == "held", Hold.expires_at < func.now())
        .order_by(Hold.wallet_id)
        .limit(limit)
    )
    return (await tx.execute(query)).all()


async def newest_usage(tx: Transaction, limit: int) -> Sequence[Record]:
    """Return the newest usage records of all organisations; call ids are in order of time."""
    query = select(UsageRecord.__table__).order_by(UsageRecord.hold_id.desc()).limit(limit)
    return (await tx.execute(query)).all()


async def forget_answers(tx: Transaction, older_than: timedelta) -> int:
    """Delete stored answers over an age; their calls stay known, and a retry is told that the answer is
    gone."""
    found = await tx.execute(delete(CallAnswer).where(CallAnswer.created_at < func.now() - older_than))
    return found.rowcount
