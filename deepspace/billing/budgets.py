"""Budgets: limits on spending that hold under any race, because they are checked where the money is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from deepspace.billing.budget_repository import BudgetRepository
from deepspace.kit.cache import ReadThrough
from deepspace.kit.db import Database, Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.money import decimal_from_nano

Scope = Literal["organization", "project", "user", "api_key", "run"]
Period = Literal["day", "month", "total"]


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """Which calls a budget applies to."""

    id: int
    scope: str
    scope_id: UUID


class BudgetBook:
    """Each organisation's budgets, remembered for a second; their limits are read where the money is held."""

    def __init__(self, database: Database, *, max_age_s: float = 1.0) -> None:
        """A new budget is seen at most `max_age_s` after it was made."""
        self._database = database
        self._rules = ReadThrough(self._load, max_age_s=max_age_s, max_entries=20_000)

    async def applying(self, org_id: UUID, subjects: Sequence[tuple[Scope, UUID | None]]) -> tuple[int, ...]:
        """Return the ids of the budgets that apply to a call of these subjects."""
        rules = await self._rules.get(org_id)
        if not rules:
            return ()
        wanted = set(subjects)
        return tuple(rule.id for rule in rules if (rule.scope, rule.scope_id) in wanted)

    def forget(self, org_id: UUID) -> None:
        """Look the budgets up again at the next call."""
        self._rules.forget(org_id)

    async def _load(self, org_id: UUID) -> tuple[BudgetRule, ...]:
        async with self._database.tenant(org_id) as tx:
            rows = await BudgetRepository(tx, org_id).budgets()
        return tuple(BudgetRule(row.id, row.scope, row.scope_id) for row in rows)


class BudgetService:
    """Makes, lists and removes budgets."""

    async def set(
        self, tx: Transaction, org_id: UUID, *, scope: Scope, scope_id: UUID, period: Period, limit_nano: int
    ) -> Record:
        """Make a budget or change its limit. What was spent in the period before counts from the start."""
        repository = BudgetRepository(tx, org_id)
        budget_id = await repository.put(scope, scope_id, period, limit_nano)
        await repository.open_counter(budget_id)
        return await self.get(tx, org_id, budget_id)

    async def get(self, tx: Transaction, org_id: UUID, budget_id: int) -> Record:
        """Return a budget with what it has held and spent in the present period."""
        row = await BudgetRepository(tx, org_id).budget(budget_id)
        if row is None:
            raise NotFound
        return row

    async def list(self, tx: Transaction, org_id: UUID) -> Sequence[Record]:
        """Return an organisation's budgets with what they have held and spent in the present period."""
        return await BudgetRepository(tx, org_id).budgets()

    async def remove(self, tx: Transaction, org_id: UUID, budget_id: int) -> None:
        """Remove a budget; calls under way are not touched."""
        await self.get(tx, org_id, budget_id)
        await BudgetRepository(tx, org_id).remove(budget_id)


def remaining(row: Record) -> str:
    """Return what is left of a budget in the present period."""
    return decimal_from_nano(row.limit_nano - (row.spent_nano or 0) - (row.held_nano or 0))
