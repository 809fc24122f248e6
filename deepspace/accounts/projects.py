"""Verbs of projects. They take a transaction and never commit.

Who may change a project: `projects:write` in the organisation, as far as its holder reaches into the project,
or the role `manager` in the project. A closed project does not exist for members without a part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from deepspace.accounts.events import OrganizationEvents
from deepspace.accounts.granting import Actor
from deepspace.accounts.org_errors import AlreadyMember, DefaultProject
from deepspace.accounts.org_repository import MemberRepository
from deepspace.accounts.permissions import PROJECT_ROLE_PERMISSIONS
from deepspace.accounts.principal import Principal, ProjectPlace
from deepspace.accounts.project_repository import ProjectRepository
from deepspace.accounts.standing import locked_actor
from deepspace.accounts.team_repository import TeamRepository
from deepspace.kit.clock import Clock
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import NotFound, ValidationFailed
from deepspace.kit.ids import uuid7


def place_of_project(row: Record) -> ProjectPlace:
    """Return a project's row as far as access goes."""
    return ProjectPlace(row.id, row.access == "organization")


async def project_place(tx: Transaction, org_id: UUID, project_id: UUID) -> ProjectPlace | None:
    """Return a project, archived or not, as far as access goes; None if there is none."""
    row = await ProjectRepository(tx, org_id).project(project_id)
    return place_of_project(row) if row is not None else None


class ProjectService:
    """Projects of organisations."""

    def __init__(self, clock: Clock, events: OrganizationEvents) -> None:
        """The clock says when a project was archived."""
        self._clock = clock
        self._events = events

    async def project(self, tx: Transaction, org_id: UUID, project_id: UUID) -> Record:
        """Return a project, archived or not; NotFound if there is none."""
        row = await ProjectRepository(tx, org_id).project(project_id)
        if row is None:
            raise NotFound
        return row

    async def make(
        self, tx: Transaction, org_id: UUID, principal: Principal, name: str, access: str
    ) -> Record:
        """Make a project. Who makes a closed one is its manager, and holds all that managers may already."""
        actor = await locked_actor(tx, org_id, principal, "projects:write")
        projects = ProjectRepository(tx, org_id)
        has_default = any(row.is_default for row in await projects.projects(archived=False))
        project_id = uuid7()
        await projects.add(id=project_id, name=name, access=access, is_default=not has_default)
        if access == "members":
            actor.demand_words(PROJECT_ROLE_PERMISSIONS["manager"])
            await projects.add_member(
                id=uuid7(), project_id=project_id, user_id=actor.user_id, role="manager"
            )
        await self._tell(tx, "project.created", org_id, actor, project_id, name=name, access=access)
        return await self.project(tx, org_id, project_id)

    async def change(
        self, tx: Transaction, org_id: UUID, principal: Principal, project_id: UUID, **values: Any
    ) -> Record:
        """Give a project another name, open it or close it."""
        actor, _ = await self._writable(tx, org_id, principal, project_id)
        if values:
            await ProjectRepository(tx, org_id).change(project_id, **values)
            await self._tell(tx, "project.changed", org_id, actor, project_id, **values)
        return await self.project(tx, org_id, project_id)

    async def archive(self, tx: Transaction, org_id: UUID, principal: Principal, project_id: UUID) -> Record:
        """Archive a project: no more calls in it, its keys stop working. The default one stays."""
        actor, row = await self._writable(tx, org_id, principal, project_id)
        if row.is_default:
            raise DefaultProject
        if row.archived_at is None:
            await ProjectRepository(tx, org_id).change(project_id, archived_at=self._clock.now())
            await self._tell(tx, "project.archived", org_id, actor, project_id)
        return await self.project(tx, org_id, project_id)

    async def unarchive(
        self, tx: Transaction, org_id: UUID, principal: Principal, project_id: UUID
    ) -> Record:
        """Take a project back into use."""
        actor, row = await self._writable(tx, org_id, principal, project_id)
        if row.archived_at is not None:
            await ProjectRepository(tx, org_id).change(project_id, archived_at=None)
            await self._tell(tx, "project.unarchived", org_id, actor, project_id)
        return await self.project(tx, org_id, project_id)

    async def make_default(
        self, tx: Transaction, org_id: UUID, principal: Principal, project_id: UUID
    ) -> Record:
        """Make a project the one that is meant when none is named. That concerns the whole organisation."""
        actor, row = await self._writable(tx, org_id, principal, project_id)
        actor.demand("projects:write")
        if row.archived_at is not None:
            raise DefaultProject
        await ProjectRepository(tx, org_id).make_default(project_id)
        await self._tell(tx, "project.made_default", org_id, actor, project_id)
        return await self.project(tx, org_id, project_id)

    async def members(self, tx: Transaction, org_id: UUID, project_id: UUID) -> Sequence[Record]:
        """Return the people and teams with a role in a project."""
        return await ProjectRepository(tx, org_id).members(project_id)

    async def add_member(
        self,
        tx: Transaction,
        org_id: UUID,
        principal: Principal,
        project_id: UUID,
        *,
        user_id: UUID | None,
        team_id: UUID | None,
        role: str,
    ) -> Record:
        """Give a member or a team of the organisation a role in a project; AlreadyMember if they have one."""
        actor, row = await self._writable(tx, org_id, principal, project_id)
        actor.demand_project_role(place_of_project(row), role)
        if (user_id is None) == (team_id is None):
            raise ValidationFailed("Name a person or a team: one of the two.", param="user_id")
        if user_id is not None and await MemberRepository(tx, org_id).place(user_id) is None:
            raise ValidationFailed("There is no such member in this organisation.", param="user_id")
        if team_id is not None and await TeamRepository(tx, org_id).team(team_id) is None:
            raise ValidationFailed("There is no such team in this organisation.", param="team_id")
        projects = ProjectRepository(tx, org_id)
        if await projects.member_of(project_id, user_id, team_id) is not None:
            raise AlreadyMember
        member_id = uuid7()
        await projects.add_member(
            id=member_id, project_id=project_id, user_id=user_id, team_id=team_id, role=role
        )
        who = {"user_id": user_id, "team_id": team_id}
        await self._tell(tx, "project.member_added", org_id, actor, project_id, **who, role=role)
        [made] = await projects.members(project_id, member_id)
        return made

    async def set_member_role(
        self,
        tx: Transaction,
        org_id: UUID,
        principal: Principal,
        project_id: UUID,
        member_id: UUID,
        role: str,
    ) -> Record:
        """Give a project member another role."""
        actor, row = await self._writable(tx, org_id, principal, project_id)
        projects = ProjectRepository(tx, org_id)
        member = await self._member(projects, project_id, member_id)
        actor.demand_project_role(place_of_project(row), member.role)
        actor.demand_project_role(place_of_project(row), role)
        await projects.set_member_role(member_id, role)
        who = {"user_id": member.user_id, "team_id": member.team_id}
        await self._tell(
            tx, "project.role_changed", org_id, actor, project_id, **who, before=member.role, role=role
        )
        return await self._member(projects, project_id, member_id)

    async def remove_member(
        self, tx: Transaction, org_id: UUID, principal: Principal, project_id: UUID, member_id: UUID
    ) -> None:
        """End somebody's role in a project."""
        actor, row = await self._writable(tx, org_id, principal, project_id)
        projects = ProjectRepository(tx, org_id)
        member = await self._member(projects, project_id, member_id)
        actor.demand_project_role(place_of_project(row), member.role)
        await projects.remove_member(member_id)
        who = {"user_id": member.user_id, "team_id": member.team_id}
        await self._tell(tx, "project.member_removed", org_id, actor, project_id, **who, before=member.role)

    async def _tell(
        self, tx: Transaction, event: str, org_id: UUID, actor: Actor, project_id: UUID, **detail: object
    ) -> None:
        await self._events.append(tx, event, org_id, actor.user_id, project_id=project_id, **detail)

    async def _writable(
        self, tx: Transaction, org_id: UUID, principal: Principal, project_id: UUID
    ) -> tuple[Actor, Record]:
        actor = await locked_actor(tx, org_id, principal)
        row = await self.project(tx, org_id, project_id)
        actor.demand_in_project(place_of_project(row), "projects:write")
        return actor, row

    async def _member(self, projects: ProjectRepository, project_id: UUID, member_id: UUID) -> Record:
        found = await projects.members(project_id, member_id)
        if not found:
            raise NotFound
        return found[0]
