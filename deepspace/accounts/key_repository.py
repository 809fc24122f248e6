"""Every SQL statement about API keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, func, insert, or_, select, text, tuple_, update

from deepspace.accounts.models import ApiKey, OrgMember, Project, User
from deepspace.kit.db import Transaction

_TOUCH = text(
    """
    UPDATE api_keys SET last_used_at = used.at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[])) AS used (id, at)
    WHERE api_keys.id = used.id AND (api_keys.last_used_at IS NULL OR api_keys.last_used_at < used.at)
    """
)


class KeyDirectory:
    """API keys by their public id, before the tenant is known: a look-up that crosses tenants."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's transaction, one that sees the whole platform."""
        self._tx = tx

    async def key(self, key_id: str) -> Row[Any] | None:
        """Return the row of the key with this public id, present or rotated away, and whether its maker's
        account is closed (`maker_status`)."""
        query = (
            select(ApiKey.__table__, User.status.label("maker_status"))
            .outerjoin(User, User.id == ApiKey.created_by)
            .where(or_(ApiKey.key_id == key_id, ApiKey.previous_key_id == key_id))
        )
        return (await self._tx.execute(query)).one_or_none()

    async def touch(self, used: Mapping[UUID, datetime]) -> None:
        """Note when keys were last used; an older time changes nothing."""
        await self._tx.execute(_TOUCH, {"ids": list(used), "times": list(used.values())})


class KeyRepository:
    """API keys of one organisation."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id

    async def projects(self, project_ids: Collection[UUID]) -> Sequence[Row[Any]]:
        """Return those of these projects that are this organisation's, archived or not."""
        query = select(Project.__table__).where(Project.org_id == self._org_id, Project.id.in_(project_ids))
        return (await self._tx.execute(query)).all()

    async def add(self, **values: Any) -> None:
        """Insert an API key."""
        await self._tx.execute(insert(ApiKey).values(org_id=self._org_id, **values))

    async def key(self, row_id: UUID, *, lock: bool = False) -> Row[Any] | None:
        """Return an API key of this organisation; `lock` holds its row until the transaction ends."""
        query = select(ApiKey.__table__).where(ApiKey.org_id == self._org_id, ApiKey.id == row_id)
        return (await self._tx.execute(query.with_for_update() if lock else query)).one_or_none()

    async def keys(self, limit: int, before: tuple[datetime, UUID] | None) -> Sequence[Row[Any]]:
        """Return up to `limit` keys, newest first, that stand behind the position `before`."""
        query = select(ApiKey.__table__).where(ApiKey.org_id == self._org_id)
        if before is not None:
            query = query.where(or_(tuple_(ApiKey.created_at, ApiKey.id) < before))
        query = query.order_by(ApiKey.created_at.desc(), ApiKey.id.desc()).limit(limit)
        return (await self._tx.execute(query)).all()

    async def change(self, row_id: UUID, **values: Any) -> None:
        """Change columns of a key."""
        where = and_(ApiKey.org_id == self._org_id, ApiKey.id == row_id)
        await self._tx.execute(update(ApiKey).where(where).values(**values))

    async def revoke_of(self, user_id: UUID, now: datetime) -> int:
        """Revoke every key that a person made here and return how many were good until now."""
        where = and_(ApiKey.org_id == self._org_id, ApiKey.created_by == user_id, ApiKey.revoked_at.is_(None))
        done = await self._tx.execute(update(ApiKey).where(where).values(revoked_at=now))
        return done.rowcount

    async def revoke_of_role(self, role_id: UUID, now: datetime) -> int:
        """Revoke every key made by members who have a role, and return how many were good until now."""
        holders = select(OrgMember.user_id).where(
            OrgMember.org_id == self._org_id, OrgMember.role_id == role_id
        )
        where = and_(
            ApiKey.org_id == self._org_id, ApiKey.created_by.in_(holders), ApiKey.revoked_at.is_(None)
        )
        done = await self._tx.execute(update(ApiKey).where(where).values(revoked_at=now))
        return done.rowcount

    async def revoke_all(self, now: datetime) -> int:
        """Revoke every key of the organisation and return how many were good until now."""
        where = and_(ApiKey.org_id == self._org_id, ApiKey.revoked_at.is_(None))
        done = await self._tx.execute(update(ApiKey).where(where).values(revoked_at=now))
        return done.rowcount

    async def count(self) -> int:
        """Return how many keys of the organisation are not revoked."""
        query = select(func.count()).where(ApiKey.org_id == self._org_id, ApiKey.revoked_at.is_(None))
        return (await self._tx.execute(query)).scalar_one()
