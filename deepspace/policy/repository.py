"""Every SQL statement of the policy slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.policy.models import PolicyRule, RateLimit


def _owned(column: Any, org_id: UUID | None) -> ColumnElement[bool]:
    return column.is_(None) if org_id is None else column == org_id


async def limits_binding(tx: Transaction, org_id: UUID) -> Sequence[Record]:
    """Return the rate limits an organisation's calls are held to: its own and the operators'. Needs a
    platform transaction: a tenant's sees its own alone."""
    where = or_(RateLimit.org_id == org_id, RateLimit.org_id.is_(None))
    return (await tx.execute(select(RateLimit.__table__).where(where))).all()


async def rules_binding(tx: Transaction, org_id: UUID | None) -> Sequence[Record]:
    """Return the access rules an organisation is held to: its own and the operators'; for None the
    operators'. Needs a platform transaction."""
    where = PolicyRule.org_id.is_(None)
    if org_id is not None:
        where = or_(where, PolicyRule.org_id == org_id)
    return (await tx.execute(select(PolicyRule.__table__).where(where).order_by(PolicyRule.id))).all()


class RateLimitRepository:
    """The rate limits of one organisation, or (None) the operators' own."""

    def __init__(self, tx: Transaction, org_id: UUID | None) -> None:
        """Run on the caller's transaction."""
        self._tx = tx
        self._org_id = org_id
        self._mine = _owned(RateLimit.org_id, org_id)

    async def put(self, new_id: UUID, subject: dict[str, Any], limits: dict[str, int | None]) -> Record:
        """Set the limits of a subject, whether it had some or not, and return the row."""
        statement = insert(RateLimit).values(id=new_id, org_id=self._org_id, **subject, **limits)
        columns = ("org_id", "subject", "subject_id", "model")
        put = statement.on_conflict_do_update(index_elements=columns, set_=limits)
        try:
            row_id = (await self._tx.execute(put.returning(RateLimit.id))).scalar_one()
        except IntegrityError:  # the one reference of the table
            raise NotFound("There is no such organisation.", param="organization_id") from None
        query = select(RateLimit.__table__).where(RateLimit.id == row_id)
        return (await self._tx.execute(query)).one()

    async def all(self) -> Sequence[Record]:
        """Return the limits, oldest first."""
        query = select(RateLimit.__table__).where(self._mine).order_by(RateLimit.id)
        return (await self._tx.execute(query)).all()

    async def remove(self, limit_id: UUID) -> bool:
        """Delete a limit; False if there is none."""
        query = delete(RateLimit).where(self._mine, RateLimit.id == limit_id).returning(RateLimit.id)
        return (await self._tx.execute(query)).first() is not None

    async def remove_all(self) -> None:
        """Delete every limit."""
        await self._tx.execute(delete(RateLimit).where(self._mine))


class PolicyRepository:
    """The access rules of one organisation, or (None) the operators' own."""

    def __init__(self, tx: Transaction, org_id: UUID | None) -> None:
        """Run on the caller's transaction."""
        self._tx = tx
        self._org_id = org_id
        self._mine = _owned(PolicyRule.org_id, org_id)

    async def add(self, **values: Any) -> Record:
        """Insert a rule and return it."""
        await self._tx.execute(insert(PolicyRule).values(org_id=self._org_id, **values))
        query = select(PolicyRule.__table__).where(PolicyRule.id == values["id"])
        return (await self._tx.execute(query)).one()

    async def all(self, kind: str | None = None) -> Sequence[Record]:
        """Return the rules, or those of one kind, oldest first."""
        query = select(PolicyRule.__table__).where(self._mine).order_by(PolicyRule.id)
        return (await self._tx.execute(query.where(PolicyRule.kind == kind) if kind else query)).all()

    async def set_mode(self, rule_id: UUID, mode: str) -> Record | None:
        """Enforce a rule or only watch it; None if there is none."""
        where = (self._mine, PolicyRule.id == rule_id)
        await self._tx.execute(update(PolicyRule).where(*where).values(mode=mode))
        return (await self._tx.execute(select(PolicyRule.__table__).where(*where))).one_or_none()

    async def remove(self, rule_id: UUID, kind: str | None = None) -> bool:
        """Delete a rule (of a kind); False if there is none."""
        query = delete(PolicyRule).where(self._mine, PolicyRule.id == rule_id)
        query = query.where(PolicyRule.kind == kind) if kind else query
        return (await self._tx.execute(query.returning(PolicyRule.id))).first() is not None

    async def remove_all(self) -> None:
        """Delete every rule."""
        await self._tx.execute(delete(PolicyRule).where(self._mine))
