"""SQL of money moved by people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, or_, select, update

from deepspace.billing.models import BudgetCounter, Hold, RedeemCode, TransactionRow, Wallet
from deepspace.kit.db import Record, Transaction


class MovesRepository:
    """Statements over all tenants: operators and payment providers act on any wallet."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's transaction."""
        self._tx = tx

    async def lock_wallet(self, org_id: UUID) -> Record | None:
        """Return an organisation's wallet and hold its row."""
        query = select(Wallet.__table__).where(Wallet.org_id == org_id).with_for_update(key_share=True)
        return (await self._tx.execute(query)).one_or_none()

    async def captured_holds(self, billing_ref_id: str, org_id: UUID | None) -> Sequence[Record]:
        """Return captured calls of a reference, in one organisation or in all."""
        query = select(Hold.__table__).where(Hold.billing_ref_id == billing_ref_id, Hold.state == "captured")
        if org_id is not None:
            query = query.where(Hold.org_id == org_id)
        return (await self._tx.execute(query.limit(2))).all()

    async def lock_hold(self, hold_id: UUID) -> Record:
        """Return a hold and hold its row."""
        query = select(Hold.__table__).where(Hold.id == hold_id).with_for_update(key_share=True)
        return (await self._tx.execute(query)).one()

    async def add_refund(self, hold: Record, amount_nano: int) -> None:
        """Note a refund on its call, and take it off what the budgets have spent."""
        await self._tx.execute(
            update(Hold).where(Hold.id == hold.id).values(refunded_nano=Hold.refunded_nano + amount_nano)
        )
        await self._tx.execute(
            update(BudgetCounter)
            .where(BudgetCounter.id.in_(hold.counter_ids))
            .values(spent_nano=func.greatest(BudgetCounter.spent_nano - amount_nano, 0))
        )

    async def lock_reference(self, kind: str, ref: str) -> None:
        """Let others wait who move money under this reference, whatever wallet they have locked."""
        key = func.hashtextextended(f"move:{kind}:{ref}", 0)
        await self._tx.execute(select(func.pg_advisory_xact_lock(key)))

    async def movement(self, kind: str, ref: str) -> Record | None:
        """Return the movement of a reference."""
        query = select(TransactionRow.__table__).where(TransactionRow.type == kind, TransactionRow.ref == ref)
        return (await self._tx.execute(query)).one_or_none()

    async def add_movement(self, **values: Any) -> None:
        """Insert a movement."""
        await self._tx.execute(insert(TransactionRow).values(**values))

    async def change_balance(self, wallet_id: int, by_nano: int) -> None:
        """Change a wallet's balance; the caller holds its row."""
        await self._tx.execute(
            update(Wallet)
            .where(Wallet.id == wallet_id)
            .values(balance_nano=Wallet.balance_nano + by_nano, version=Wallet.version + 1)
        )

    async def change_wallet(self, wallet_id: int, credit_limit_nano: int, state: str) -> None:
        """Set a wallet's limit and state; the caller holds its row."""
        values = {"credit_limit_nano": credit_limit_nano, "state": state, "version": Wallet.version + 1}
        await self._tx.execute(update(Wallet).where(Wallet.id == wallet_id).values(**values))

    async def add_codes(self, rows: Sequence[dict[str, Any]]) -> None:
        """Insert redeem codes."""
        await self._tx.execute(insert(RedeemCode), rows)

    async def take_code(self, hmac: bytes, org_id: UUID) -> Record | None:
        """Mark a code as redeemed and return it; None if it is unknown, used or expired."""
        statement = (
            update(RedeemCode)
            .where(
                RedeemCode.code_hmac == hmac,
                RedeemCode.redeemed_at.is_(None),
                or_(RedeemCode.expires_at.is_(None), RedeemCode.expires_at > func.now()),
            )
            .values(redeemed_at=func.now(), redeemed_by=org_id)
            .returning(RedeemCode.id, RedeemCode.amount_nano)
        )
        return (await self._tx.execute(statement)).one_or_none()

    async def codes(self, limit: int, before: tuple[datetime, UUID] | None) -> Sequence[Record]:
        """Return redeem codes, newest first."""
        query = select(RedeemCode.__table__).order_by(RedeemCode.created_at.desc(), RedeemCode.id.desc())
        if before is not None:
            query = query.where(RedeemCode.created_at <= before[0], RedeemCode.id < before[1])
        return (await self._tx.execute(query.limit(limit))).all()
