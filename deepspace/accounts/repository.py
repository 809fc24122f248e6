"""Every SQL statement of the accounts slice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, and_, func, insert, or_, select, update

from deepspace.accounts.models import Org, OrgMember, Project, Session, User
from deepspace.accounts.org_models import OrgRole, ProjectMember, TeamMember
from deepspace.kit.db import Transaction


class PeopleRepository:
    """Users, sessions and memberships: platform-wide tables."""

    def __init__(self, tx: Transaction) -> None:
        """Run on the caller's transaction."""
        self._tx = tx

    async def user_by_email(self, email: str) -> Row[Any] | None:
        """Return the user with this address, whatever its case."""
        query = select(User.__table__).where(func.lower(User.email) == email.lower())
        return (await self._tx.execute(query)).one_or_none()

    async def user(self, user_id: UUID) -> Row[Any] | None:
        """Return a user."""
        return (await self._tx.execute(select(User.__table__).where(User.id == user_id))).one_or_none()

    async def any_operator(self) -> bool:
        """Tell whether the platform has an operator already."""
        return (await self._tx.execute(select(User.id).where(User.is_operator).limit(1))).first() is not None

    async def add_user(self, **values: Any) -> None:
        """Insert a user."""
        await self._tx.execute(insert(User).values(**values))

    async def set_password(self, user_id: UUID, password_hash: str) -> None:
        """Replace a user's password hash."""
        await self._tx.execute(update(User).where(User.id == user_id).values(password_hash=password_hash))

    async def memberships(self, user_id: UUID) -> Sequence[Any]:
        """Return (id, name, role, permissions of a role of the organisation's own or None) of every
        organisation of a user, oldest first."""
        query = (
            select(Org.id, Org.name, OrgMember.role, OrgRole.permissions)
            .join(OrgMember, OrgMember.org_id == Org.id)
            .outerjoin(OrgRole, OrgRole.id == OrgMember.role_id)
            .where(OrgMember.user_id == user_id, Org.deleted_at.is_(None))
            .order_by(Org.created_at, Org.id)
        )
        return (await self._tx.execute(query)).all()

    async def project_roles(self, user_id: UUID) -> Sequence[Any]:
        """Return (org_id, project_id, role) of every project role of a user, their own and their teams'."""
        teams = select(TeamMember.team_id).where(TeamMember.user_id == user_id)
        query = select(ProjectMember.org_id, ProjectMember.project_id, ProjectMember.role).where(
            or_(ProjectMember.user_id == user_id, ProjectMember.team_id.in_(teams))
        )
        return (await self._tx.execute(query)).all()

    async def add_session(self, **values: Any) -> None:
        """Insert a sign-in."""
        await self._tx.execute(insert(Session).values(**values))

    async def session(self, session_id: UUID, *, lock: bool = False) -> Row[Any] | None:
        """Return a session; `lock` holds its row until the transaction ends."""
        query = select(Session.__table__).where(Session.id == session_id)
        return (await self._tx.execute(query.with_for_update() if lock else query)).one_or_none()

    async def rotate_session(
        self, session_id: UUID, generation: int, now: datetime, expires_at: datetime
    ) -> None:
        """Make `generation` the one good refresh token."""
        values = {"generation": generation, "refreshed_at": now, "expires_at": expires_at}
        await self._tx.execute(update(Session).where(Session.id == session_id).values(**values))

    async def revoke_session(self, session_id: UUID, now: datetime, reason: str) -> None:
        """End a session; a session that has ended stays as it is."""
        where = and_(Session.id == session_id, Session.revoked_at.is_(None))
        await self._tx.execute(update(Session).where(where).values(revoked_at=now, revoked_reason=reason))


class OrgRepository:
    """Projects of one organisation."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id

    async def org(self) -> Row[Any] | None:
        """Return the organisation."""
        return (await self._tx.execute(select(Org.__table__).where(Org.id == self._org_id))).one_or_none()

    async def projects(self) -> Sequence[Row[Any]]:
        """Return the projects that are not archived: the default one, then the oldest first."""
        query = (
            select(Project.__table__)
            .where(Project.org_id == self._org_id, Project.archived_at.is_(None))
            .order_by(Project.is_default.desc(), Project.created_at, Project.id)
        )
        return (await self._tx.execute(query)).all()

    async def project(self, project_id: UUID) -> Row[Any] | None:
        """Return a project of this organisation."""
        query = select(Project.__table__).where(Project.org_id == self._org_id, Project.id == project_id)
        return (await self._tx.execute(query)).one_or_none()
