"""SQL of an organisation's own row and of its members."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, delete, func, insert, or_, select, tuple_, update

from deepspace.accounts.models import Org, OrgMember, User
from deepspace.accounts.org_models import OrgRole, ProjectMember, Team, TeamMember
from deepspace.kit.db import Record, Transaction


class OrgRowRepository:
    """The row of one organisation."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id

    async def lock(self) -> Record | None:
        """Return the organisation and let others wait who change who may do what in it; None if there is
        none, or it is deleted. Calls and the ledger do not wait."""
        query = select(Org.__table__).where(Org.id == self._org_id, Org.deleted_at.is_(None))
        return (await self._tx.execute(query.with_for_update(key_share=True))).one_or_none()

    async def org(self) -> Record | None:
        """Return the organisation."""
        query = select(Org.__table__).where(Org.id == self._org_id, Org.deleted_at.is_(None))
        return (await self._tx.execute(query)).one_or_none()

    async def add(self, name: str) -> None:
        """Insert the organisation."""
        await self._tx.execute(insert(Org).values(id=self._org_id, name=name))

    async def rename(self, name: str) -> None:
        """Give it another name."""
        await self._tx.execute(update(Org).where(Org.id == self._org_id).values(name=name))

    async def bury(self, now: datetime) -> None:
        """Mark it as deleted; the row stays for the books."""
        await self._tx.execute(update(Org).where(Org.id == self._org_id).values(deleted_at=now))


class MemberRepository:
    """Members of one organisation."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id
        self._here = OrgMember.org_id == org_id

    async def place(self, user_id: UUID) -> Record | None:
        """Return (role, role_id, permissions of a role of the organisation's own or None) of a member."""
        query = (
            select(OrgMember.role, OrgMember.role_id, OrgRole.permissions)
            .outerjoin(OrgRole, and_(OrgRole.org_id == OrgMember.org_id, OrgRole.id == OrgMember.role_id))
            .where(self._here, OrgMember.user_id == user_id)
        )
        return (await self._tx.execute(query)).one_or_none()

    async def project_roles(self, user_id: UUID) -> Sequence[Record]:
        """Return (project_id, role) of every project role of a member, their own and their teams'."""
        teams = select(TeamMember.team_id).where(
            TeamMember.org_id == self._org_id, TeamMember.user_id == user_id
        )
        query = select(ProjectMember.project_id, ProjectMember.role).where(
            ProjectMember.org_id == self._org_id,
            or_(ProjectMember.user_id == user_id, ProjectMember.team_id.in_(teams)),
        )
        return (await self._tx.execute(query)).all()

    async def members(
        self, limit: int, before: tuple[datetime, UUID] | None, user_id: UUID | None = None
    ) -> Sequence[Record]:
        """Return up to `limit` members with names and addresses, newest first, or the one with `user_id`."""
        query = (
            select(
                OrgMember.user_id,
                User.email,
                User.name,
                OrgMember.role,
                OrgMember.role_id,
                OrgRole.name.label("role_name"),
                OrgMember.created_at,
            )
            .join(User, User.id == OrgMember.user_id)
            .outerjoin(OrgRole, and_(OrgRole.org_id == OrgMember.org_id, OrgRole.id == OrgMember.role_id))
            .where(self._here)
        )
        if user_id is not None:
            query = query.where(OrgMember.user_id == user_id)
        if before is not None:
            query = query.where(tuple_(OrgMember.created_at, OrgMember.user_id) < before)
        query = query.order_by(OrgMember.created_at.desc(), OrgMember.user_id.desc()).limit(limit)
        return (await self._tx.execute(query)).all()

    async def teams_of(self, user_ids: Sequence[UUID]) -> Sequence[Record]:
        """Return (user_id, id, name) of every team these members are in."""
        query = (
            select(TeamMember.user_id, Team.id, Team.name)
            .join(Team, Team.id == TeamMember.team_id)
            .where(TeamMember.org_id == self._org_id, TeamMember.user_id.in_(user_ids))
            .order_by(Team.name)
        )
        return (await self._tx.execute(query)).all()

    async def is_active(self, user_id: UUID) -> bool:
        """Tell whether a member's account is active."""
        query = (
            select(User.id)
            .join(OrgMember, OrgMember.user_id == User.id)
            .where(self._here, User.id == user_id, User.status == "active")
        )
        return (await self._tx.execute(query)).first() is not None

    async def owners(self) -> int:
        """Return how many owners there are."""
        query = select(func.count()).where(self._here, OrgMember.role == "owner")
        return (await self._tx.execute(query)).scalar_one()

    async def count(self) -> int:
        """Return how many members there are."""
        return (await self._tx.execute(select(func.count()).where(self._here))).scalar_one()

    async def add(self, user_id: UUID, role: str, role_id: UUID | None = None) -> None:
        """Insert a membership."""
        values = {"org_id": self._org_id, "user_id": user_id, "role": role, "role_id": role_id}
        await self._tx.execute(insert(OrgMember).values(**values))

    async def set_role(self, user_id: UUID, role: str, role_id: UUID | None) -> None:
        """Give a member another role."""
        where = and_(self._here, OrgMember.user_id == user_id)
        await self._tx.execute(update(OrgMember).where(where).values(role=role, role_id=role_id))

    async def remove(self, user_id: UUID) -> None:
        """End a membership, and with it the member's place in teams and projects."""
        await self._tx.execute(delete(OrgMember).where(self._here, OrgMember.user_id == user_id))

    async def remove_all(self) -> None:
        """End every membership."""
        await self._tx.execute(delete(OrgMember).where(self._here))


class RoleRepository:
    """Roles of one organisation's own."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._here = OrgRole.org_id == org_id
        self._org_id = org_id

    async def roles(self) -> Sequence[Record]:
        """Return the roles with how many members have each, newest first."""
        members = (
            select(func.count())
            .where(OrgMember.org_id == self._org_id, OrgMember.role_id == OrgRole.id)
            .scalar_subquery()
        )
        query = select(OrgRole.__table__, members.label("members")).where(self._here)
        return (await self._tx.execute(query.order_by(OrgRole.created_at.desc(), OrgRole.id.desc()))).all()

    async def role(self, role_id: UUID) -> Record | None:
        """Return a role."""
        return next((row for row in await self.roles() if row.id == role_id), None)

    async def named(self, name: str) -> Record | None:
        """Return the role with this name."""
        query = select(OrgRole.__table__).where(self._here, OrgRole.name == name)
        return (await self._tx.execute(query)).one_or_none()

    async def add(self, **values: Any) -> None:
        """Insert a role."""
        await self._tx.execute(insert(OrgRole).values(org_id=self._org_id, **values))

    async def change(self, role_id: UUID, **values: Any) -> None:
        """Change a role."""
        await self._tx.execute(update(OrgRole).where(self._here, OrgRole.id == role_id).values(**values))

    async def remove(self, role_id: UUID) -> None:
        """Delete a role that no member has."""
        await self._tx.execute(delete(OrgRole).where(self._here, OrgRole.id == role_id))

    async def remove_all(self) -> None:
        """Delete every role; memberships are gone already."""
        await self._tx.execute(delete(OrgRole).where(self._here))
