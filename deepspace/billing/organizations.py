"""What billing keeps for an organisation: its wallet from the first moment, its books beyond the last."""

from __future__ import annotations

from uuid import UUID

from deepspace.accounts.org_parts import Ending, Obstacle, Survey
from deepspace.billing.ending_repository import EndingRepository
from deepspace.billing.errors import BalanceLeft, HoldsOpen
from deepspace.billing.moves import Authority, MoneyMoves
from deepspace.billing.moves_repository import MovesRepository
from deepspace.billing.repository import WalletRepository
from deepspace.billing.service import BillingService
from deepspace.kit.db import Record, Transaction
from deepspace.kit.money import decimal_from_nano


class BooksPart:
    """The organisation part (accounts/org_parts.py) of billing.

    A closed wallet is frozen and empty, so a call that was let in a moment before finds no money.
    """

    def __init__(self, billing: BillingService, moves: MoneyMoves) -> None:
        """Wallets by `billing`, money given up by `moves`."""
        self._billing = billing
        self._moves = moves

    async def open(self, tx: Transaction, org_id: UUID) -> None:
        """Open the wallet."""
        await self._billing.open_wallet(tx, org_id)

    async def survey(self, tx: Transaction, org_id: UUID) -> Survey:
        """Count budgets, which go, and the books, which stay."""
        rows = EndingRepository(tx, org_id)
        wallet = await WalletRepository(tx, org_id).wallet()
        errors = self._faults(wallet, await rows.open_holds()) if wallet is not None else []
        return Survey(
            goes={"budgets": await rows.budgets()},
            stays={
                "transactions": await rows.transactions(),
                "usage_records": await rows.usage_records(),
            },
            obstacles=tuple(Obstacle(error.code, error.message) for error in errors),
        )

    async def close(self, tx: Transaction, org_id: UUID, ending: Ending) -> None:
        """Empty and freeze the wallet; remove the budgets, and kept answers, which are no part of the books.

        HoldsOpen while calls are under way; BalanceLeft if money is left that is not given up. The wallet is
        locked first, as in the ledger writer: no hold comes in between.
        """
        rows = EndingRepository(tx, org_id)
        wallet = await MovesRepository(tx).lock_wallet(org_id)
        if wallet is not None:
            for error in self._faults(wallet, await rows.open_holds()):
                if not (ending.forfeit_balance and isinstance(error, BalanceLeft)):
                    raise error
            if wallet.balance_nano > 0:
                by = Authority(ending.user_id, "organisation deleted, balance given up", f"ending:{org_id}")
                await self._moves.adjust(tx, org_id, -wallet.balance_nano, by)
            # A debt stays on the books, and with it the limit that allowed it.
            limit_nano = 0 if wallet.balance_nano >= 0 else None
            await self._moves.change_wallet(tx, org_id, limit_nano, "frozen")
        await rows.remove_budgets()
        await rows.remove_answers()

    def _faults(self, wallet: Record, open_holds: int) -> list[HoldsOpen | BalanceLeft]:
        found: list[HoldsOpen | BalanceLeft] = []
        if open_holds or wallet.frozen_nano:
            found.append(HoldsOpen())
        if wallet.balance_nano > 0:
            left = f"{decimal_from_nano(wallet.balance_nano)} {wallet.currency}"
            found.append(BalanceLeft(f"The wallet still holds {left}. Spend it, or give it up knowingly."))
        return found
