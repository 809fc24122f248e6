"""SQL of projects and their members."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update

from deepspace.accounts.models import Project, User
from deepspace.accounts.org_models import ProjectMember, Team
from deepspace.kit.db import Record, Transaction


class ProjectRepository:
    """Projects of one organisation."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id
        self._here = Project.org_id == org_id

    async def projects(self, *, archived: bool) -> Sequence[Record]:
        """Return the projects, the archived ones too if wished: the default one, then the oldest first."""
        query = select(Project.__table__).where(self._here)
        if not archived:
            query = query.where(Project.archived_at.is_(None))
        order = (Project.is_default.desc(), Project.created_at, Project.id)
        return (await self._tx.execute(query.order_by(*order))).all()

    async def project(self, project_id: UUID) -> Record | None:
        """Return a project, archived or not."""
        query = select(Project.__table__).where(self._here, Project.id == project_id)
        return (await self._tx.execute(query)).one_or_none()

    async def count(self) -> int:
        """Return how many projects there are, the archived ones too."""
        return (await self._tx.execute(select(func.count()).where(self._here))).scalar_one()

    async def add(self, **values: Any) -> None:
        """Insert a project."""
        await self._tx.execute(insert(Project).values(org_id=self._org_id, **values))

    async def change(self, project_id: UUID, **values: Any) -> None:
        """Change columns of a project."""
        await self._tx.execute(update(Project).where(self._here, Project.id == project_id).values(**values))

    async def make_default(self, project_id: UUID) -> None:
        """Make a project the default one instead of another."""
        await self._tx.execute(update(Project).where(self._here, Project.is_default).values(is_default=False))
        await self.change(project_id, is_default=True)

    async def archive_all(self, now: datetime) -> None:
        """Archive every project and end everybody's part in them."""
        await self._tx.execute(delete(ProjectMember).where(ProjectMember.org_id == self._org_id))
        where = (self._here, Project.archived_at.is_(None))
        await self._tx.execute(update(Project).where(*where).values(archived_at=now, is_default=False))

    async def members(self, project_id: UUID, member_id: UUID | None = None) -> Sequence[Record]:
        """Return a project's members with the names of people and teams, newest first, or the one named."""
        query = (
            select(ProjectMember.__table__, User.name.label("user_name"), User.email, Team.name.label("team"))
            .outerjoin(User, User.id == ProjectMember.user_id)
            .outerjoin(Team, Team.id == ProjectMember.team_id)
            .where(ProjectMember.org_id == self._org_id, ProjectMember.project_id == project_id)
            .order_by(ProjectMember.created_at.desc(), ProjectMember.id.desc())
        )
        if member_id is not None:
            query = query.where(ProjectMember.id == member_id)
        return (await self._tx.execute(query)).all()

    async def member_of(self, project_id: UUID, user_id: UUID | None, team_id: UUID | None) -> Record | None:
        """Return what a person or a team is in a project."""
        subject = ProjectMember.user_id == user_id if user_id else ProjectMember.team_id == team_id
        query = select(ProjectMember.__table__).where(
            ProjectMember.org_id == self._org_id, ProjectMember.project_id == project_id, subject
        )
        return (await self._tx.execute(query)).one_or_none()

    async def add_member(self, **values: Any) -> None:
        """Insert a person or a team."""
        await self._tx.execute(insert(ProjectMember).values(org_id=self._org_id, **values))

    async def set_member_role(self, member_id: UUID, role: str) -> None:
        """Give a project member another role."""
        where = (ProjectMember.org_id == self._org_id, ProjectMember.id == member_id)
        await self._tx.execute(update(ProjectMember).where(*where).values(role=role))

    async def remove_member(self, member_id: UUID) -> None:
        """End a person's or a team's part in a project."""
        where = (ProjectMember.org_id == self._org_id, ProjectMember.id == member_id)
        await self._tx.execute(delete(ProjectMember).where(*where))

    async def count_members(self) -> int:
        """Return how many parts in projects there are."""
        query = select(func.count()).where(ProjectMember.org_id == self._org_id)
        return (await self._tx.execute(query)).scalar_one()
