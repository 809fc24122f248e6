"""SQL of teams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from deepspace.accounts.models import Project, User
from deepspace.accounts.org_models import ProjectMember, Team, TeamMember
from deepspace.kit.db import Record, Transaction


class TeamRepository:
    """Teams of one organisation."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id
        self._here = Team.org_id == org_id

    async def teams(self) -> Sequence[Record]:
        """Return the teams with how many members each has, newest first."""
        members = select(func.count()).where(TeamMember.team_id == Team.id).scalar_subquery()
        query = select(Team.__table__, members.label("members")).where(self._here)
        return (await self._tx.execute(query.order_by(Team.created_at.desc(), Team.id.desc()))).all()

    async def team(self, team_id: UUID) -> Record | None:
        """Return a team."""
        return next((row for row in await self.teams() if row.id == team_id), None)

    async def named(self, name: str) -> Record | None:
        """Return the team with this name."""
        query = select(Team.__table__).where(self._here, Team.name == name)
        return (await self._tx.execute(query)).one_or_none()

    async def add(self, **values: Any) -> None:
        """Insert a team."""
        await self._tx.execute(insert(Team).values(org_id=self._org_id, **values))

    async def rename(self, team_id: UUID, name: str) -> None:
        """Give a team another name."""
        await self._tx.execute(update(Team).where(self._here, Team.id == team_id).values(name=name))

    async def remove(self, team_id: UUID) -> None:
        """Delete a team, and with it its place in projects."""
        await self._tx.execute(delete(Team).where(self._here, Team.id == team_id))

    async def remove_all(self) -> None:
        """Delete every team."""
        await self._tx.execute(delete(Team).where(self._here))

    async def members(self, team_id: UUID) -> Sequence[Record]:
        """Return (user_id, email, name, created_at) of a team's members, newest first."""
        query = (
            select(TeamMember.user_id, User.email, User.name, TeamMember.created_at)
            .join(User, User.id == TeamMember.user_id)
            .where(TeamMember.org_id == self._org_id, TeamMember.team_id == team_id)
            .order_by(TeamMember.created_at.desc(), TeamMember.user_id.desc())
        )
        return (await self._tx.execute(query)).all()

    async def add_member(self, team_id: UUID, user_id: UUID) -> None:
        """Put a member of the organisation into a team; who is in it stays in it."""
        values = {"org_id": self._org_id, "team_id": team_id, "user_id": user_id}
        await self._tx.execute(upsert(TeamMember).values(**values).on_conflict_do_nothing())

    async def remove_member(self, team_id: UUID, user_id: UUID) -> bool:
        """Take a member out of a team; False if they were not in it."""
        statement = delete(TeamMember).where(
            TeamMember.org_id == self._org_id, TeamMember.team_id == team_id, TeamMember.user_id == user_id
        )
        return (await self._tx.execute(statement)).rowcount > 0

    async def project_roles(self, team_id: UUID) -> Sequence[Record]:
        """Return (project_id, access, role) of every project the team has a part in."""
        query = (
            select(ProjectMember.project_id, Project.access, ProjectMember.role)
            .join(Project, Project.id == ProjectMember.project_id)
            .where(ProjectMember.org_id == self._org_id, ProjectMember.team_id == team_id)
        )
        return (await self._tx.execute(query)).all()
