"""SQL of invitations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, func, insert, or_, select, tuple_, update

from deepspace.accounts.models import Org, User
from deepspace.accounts.org_models import Invitation, OrgRole
from deepspace.kit.db import Record, Transaction


class InvitationDirectory:
    """Invitations by their token, before the tenant is known."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's platform transaction."""
        self._tx = tx

    async def by_token(self, token_hmac: bytes) -> Record | None:
        """Return an invitation with the names of the organisation, the role and who made it; None if the
        organisation is deleted."""
        query = (
            select(
                Invitation.__table__,
                Org.name.label("organization"),
                OrgRole.name.label("role_name"),
                User.name.label("inviter"),
            )
            .join(Org, and_(Org.id == Invitation.org_id, Org.deleted_at.is_(None)))
            .outerjoin(OrgRole, OrgRole.id == Invitation.role_id)
            .outerjoin(User, User.id == Invitation.created_by)
            .where(Invitation.token_hmac == token_hmac)
        )
        return (await self._tx.execute(query)).one_or_none()


class InvitationRepository:
    """Invitations of one organisation."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id
        self._here = Invitation.org_id == org_id
        self._unused = and_(Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None))

    async def invitations(
        self, limit: int, before: tuple[datetime, UUID] | None, invitation_id: UUID | None = None
    ) -> Sequence[Record]:
        """Return up to `limit` invitations, newest first, or the one named."""
        query = (
            select(Invitation.__table__, OrgRole.name.label("role_name"), User.name.label("inviter"))
            .outerjoin(OrgRole, OrgRole.id == Invitation.role_id)
            .outerjoin(User, User.id == Invitation.created_by)
            .where(self._here)
        )
        if invitation_id is not None:
            query = query.where(Invitation.id == invitation_id)
        if before is not None:
            query = query.where(or_(tuple_(Invitation.created_at, Invitation.id) < before))
        query = query.order_by(Invitation.created_at.desc(), Invitation.id.desc()).limit(limit)
        return (await self._tx.execute(query)).all()

    async def open_count(self, now: datetime, role_id: UUID | None = None) -> int:
        """Return how many can still be accepted, of all or of those that give a role."""
        query = select(func.count()).where(self._here, self._unused, Invitation.expires_at > now)
        if role_id is not None:
            query = query.where(Invitation.role_id == role_id)
        return (await self._tx.execute(query)).scalar_one()

    async def add(self, **values: Any) -> None:
        """Insert an invitation."""
        await self._tx.execute(insert(Invitation).values(org_id=self._org_id, **values))

    async def change(self, invitation_id: UUID, **values: Any) -> None:
        """Change columns of an invitation."""
        where = and_(self._here, Invitation.id == invitation_id)
        await self._tx.execute(update(Invitation).where(where).values(**values))

    async def remove_all(self) -> None:
        """Delete every invitation."""
        await self._tx.execute(delete(Invitation).where(self._here))
