"""Money moved by people: top-up, refund, adjustment, redeem code, and what a wallet may do.

Each takes a reference that makes it happen once. The wallet is locked first, as in the ledger writer.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from deepspace.billing.errors import (
    InsufficientFunds,
    RedeemCodeInvalid,
    ReferenceReused,
    RefundTooLarge,
    WalletBelowLimit,
)
from deepspace.billing.moves_repository import MovesRepository
from deepspace.billing.redeem import code_hmac, new_code
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import Conflict, NotFound, ValidationFailed
from deepspace.kit.ids import uuid7

REVENUE, PAYMENTS, ADJUSTMENTS = -1, -2, -4


@dataclass(frozen=True, slots=True)
class Authority:
    """On whose word, why, and under which reference money moves."""

    actor: UUID | None
    reason: str
    ref: str | None = None


class MoneyMoves:
    """The verbs. They take a transaction and never commit."""

    def __init__(self, code_key: bytes) -> None:
        """`code_key` is the key under which redeem codes are stored as HMACs."""
        self._code_key = code_key

    async def topup(self, tx: Transaction, org_id: UUID, amount_nano: int, by: Authority) -> Record:
        """Book a payment and return the wallet."""
        if amount_nano <= 0:
            raise ValidationFailed("The amount of a top-up must be more than zero.", param="amount")
        return await self._move(tx, org_id, "topup", PAYMENTS, amount_nano, by)

    async def adjust(self, tx: Transaction, org_id: UUID, amount_nano: int, by: Authority) -> Record:
        """Correct a balance up or down; down only as far as money is available."""
        if amount_nano == 0:
            raise ValidationFailed("The amount of an adjustment must not be zero.", param="amount")
        return await self._move(tx, org_id, "adjust", ADJUSTMENTS, amount_nano, by)

    async def refund(
        self,
        tx: Transaction,
        billing_ref_id: str,
        amount_nano: int | None,
        org_id: UUID | None,
        by: Authority,
    ) -> Record:
        """Give back what a call cost, or a part; RefundTooLarge beyond what is left of it. Returns the
        wallet."""
        holds = await MovesRepository(tx).captured_holds(billing_ref_id, org_id)
        if not holds:
            raise NotFound("There is no captured call with this reference.")
        if len(holds) > 1:
            raise Conflict("Several organisations used this reference; name one with organization_id.")
        org_id = holds[0].org_id
        repository = MovesRepository(tx)
        wallet = await self._locked(repository, holds[0].org_id)
        if await self._done_before(repository, "refund", wallet, amount_nano, by, holds[0].id):
            return wallet
        hold = await repository.lock_hold(holds[0].id)
        left = hold.captured_nano - hold.refunded_nano
        amount = amount_nano if amount_nano is not None else left
        if not 0 < amount <= left:
            raise RefundTooLarge
        await repository.add_refund(hold, amount)
        await self._book(repository, wallet, "refund", REVENUE, amount, by=by, hold_id=hold.id)
        return await self._locked(repository, wallet.org_id)

    async def redeem(self, tx: Transaction, org_id: UUID, code: str, actor: UUID | None) -> Record:
        """Exchange a redeem code for its amount, once. Returns the wallet."""
        repository = MovesRepository(tx)
        row = await repository.take_code(code_hmac(self._code_key, code), org_id)
        if row is None:
            raise RedeemCodeInvalid
        return await self.topup(
            tx, org_id, row.amount_nano, Authority(actor, "redeem code", f"redeem:{row.id}")
        )

    async def make_codes(
        self,
        tx: Transaction,
        *,
        amount_nano: int,
        count: int,
        note: str,
        expires_at: datetime | None,
        actor: UUID | None,
    ) -> list[str]:
        """Make redeem codes and return them; only their HMACs are kept."""
        if amount_nano <= 0:
            raise ValidationFailed("The amount of a code must be more than zero.", param="amount")
        codes = [new_code() for _ in range(count)]
        await MovesRepository(tx).add_codes(
            [
                {
                    "id": uuid7(),
                    "code_hmac": code_hmac(self._code_key, code),
                    "hint": f"{code[:5]}-…",
                    "amount_nano": amount_nano,
                    "note": note,
                    "expires_at": expires_at,
                    "created_by": actor,
                }
                for code in codes
            ]
        )
        return codes

    async def change_wallet(
        self,
        tx: Transaction,
        org_id: UUID,
        credit_limit_nano: int | None,
        state: Literal["active", "frozen"] | None,
    ) -> Record:
        """Set the credit limit or freeze the wallet; a limit below what is used already is refused."""
        repository = MovesRepository(tx)
        wallet = await self._locked(repository, org_id)
        limit = wallet.credit_limit_nano if credit_limit_nano is None else credit_limit_nano
        if limit < 0 or wallet.balance_nano - wallet.frozen_nano + limit < 0:
            raise WalletBelowLimit
        await repository.change_wallet(wallet.id, limit, state or wallet.state)
        return await self._locked(repository, org_id)

    async def _move(
        self, tx: Transaction, org_id: UUID, kind: str, account: int, amount_nano: int, by: Authority
    ) -> Record:
        repository = MovesRepository(tx)
        wallet = await self._locked(repository, org_id)
        if await self._done_before(repository, kind, wallet, amount_nano, by, None):
            return wallet
        if wallet.balance_nano - wallet.frozen_nano + wallet.credit_limit_nano + amount_nano < 0:
            raise InsufficientFunds("The wallet does not hold that much.")
        await self._book(repository, wallet, kind, account, amount_nano, by=by, hold_id=None)
        return await self._locked(repository, org_id)

    async def _locked(self, repository: MovesRepository, org_id: UUID) -> Record:
        wallet = await repository.lock_wallet(org_id)
        if wallet is None:
            raise NotFound("There is no such organisation.")
        return wallet

    async def _done_before(
        self,
        repository: MovesRepository,
        kind: str,
        wallet: Record,
        amount_nano: int | None,
        by: Authority,
        hold_id: UUID | None,
    ) -> bool:
        """Tell whether this was booked before; ReferenceReused if the reference served anything else."""
        if by.ref is None:
            return False
        await repository.lock_reference(kind, by.ref)
        earlier = await repository.movement(kind, by.ref)
        if earlier is None:
            return False
        signed = earlier.amount_nano if earlier.credit_account == wallet.id else -earlier.amount_nano
        if (earlier.org_id, earlier.hold_id) != (wallet.org_id, hold_id) or amount_nano not in {None, signed}:
            raise ReferenceReused("This reference was used for another wallet, call or amount.")
        return True

    async def _book(
        self,
        repository: MovesRepository,
        wallet: Record,
        kind: str,
        account: int,
        amount_nano: int,
        *,
        by: Authority,
        hold_id: UUID | None,
    ) -> None:
        row_id = uuid7()
        debit, credit = (account, wallet.id) if amount_nano > 0 else (wallet.id, account)
        await repository.add_movement(
            id=row_id,
            org_id=wallet.org_id,
            debit_account=debit,
            credit_account=credit,
            amount_nano=abs(amount_nano),
            type=kind,
            hold_id=hold_id,
            ref=by.ref or str(row_id),
            reason=by.reason,
            actor_id=by.actor,
        )
        await repository.change_balance(wallet.id, amount_nano)
