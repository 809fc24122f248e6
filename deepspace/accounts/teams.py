"""Verbs of teams. They take a transaction and never commit.

Who joins a team gets the team's roles in projects; so whoever puts somebody into one holds those roles'
rights themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from deepspace.accounts.events import OrganizationEvents
from deepspace.accounts.granting import Actor
from deepspace.accounts.org_errors import NameTaken
from deepspace.accounts.org_repository import MemberRepository
from deepspace.accounts.principal import Principal, ProjectPlace
from deepspace.accounts.standing import locked_actor
from deepspace.accounts.team_repository import TeamRepository
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import NotFound, ValidationFailed
from deepspace.kit.ids import uuid7


class TeamService:
    """Teams of organisations."""

    def __init__(self, events: OrganizationEvents) -> None:
        """Tell `events` of changes."""
        self._events = events

    async def team(self, tx: Transaction, org_id: UUID, team_id: UUID) -> Record:
        """Return a team; NotFound if there is none."""
        row = await TeamRepository(tx, org_id).team(team_id)
        if row is None:
            raise NotFound
        return row

    async def members(self, tx: Transaction, org_id: UUID, team_id: UUID) -> Sequence[Record]:
        """Return a team's members."""
        await self.team(tx, org_id, team_id)
        return await TeamRepository(tx, org_id).members(team_id)

    async def make(self, tx: Transaction, org_id: UUID, principal: Principal, name: str) -> Record:
        """Make a team; NameTaken if there is one of this name."""
        actor = await locked_actor(tx, org_id, principal, "teams:write")
        teams = TeamRepository(tx, org_id)
        if await teams.named(name) is not None:
            raise NameTaken
        team_id = uuid7()
        await teams.add(id=team_id, name=name)
        await self._events.append(tx, "team.created", org_id, actor.user_id, team_id=team_id, name=name)
        return await self.team(tx, org_id, team_id)

    async def rename(
        self, tx: Transaction, org_id: UUID, principal: Principal, team_id: UUID, name: str
    ) -> Record:
        """Give a team another name."""
        actor = await locked_actor(tx, org_id, principal, "teams:write")
        await self.team(tx, org_id, team_id)
        teams = TeamRepository(tx, org_id)
        same = await teams.named(name)
        if same is not None and same.id != team_id:
            raise NameTaken
        await teams.rename(team_id, name)
        await self._events.append(tx, "team.renamed", org_id, actor.user_id, team_id=team_id, name=name)
        return await self.team(tx, org_id, team_id)

    async def remove(self, tx: Transaction, org_id: UUID, principal: Principal, team_id: UUID) -> None:
        """Delete a team; its members lose what they had in projects through it."""
        actor = await locked_actor(tx, org_id, principal, "teams:write")
        row = await self.team(tx, org_id, team_id)
        await TeamRepository(tx, org_id).remove(team_id)
        await self._events.append(tx, "team.deleted", org_id, actor.user_id, team_id=team_id, name=row.name)

    async def add_member(
        self, tx: Transaction, org_id: UUID, principal: Principal, team_id: UUID, user_id: UUID
    ) -> None:
        """Put a member of the organisation into a team."""
        actor = await locked_actor(tx, org_id, principal, "teams:write")
        await self.team(tx, org_id, team_id)
        if await MemberRepository(tx, org_id).place(user_id) is None:
            raise ValidationFailed("There is no such member in this organisation.", param="user_id")
        await join(tx, org_id, actor, team_id, user_id)
        await self._events.append(
            tx, "team.member_added", org_id, actor.user_id, team_id=team_id, user_id=user_id
        )

    async def remove_member(
        self, tx: Transaction, org_id: UUID, principal: Principal, team_id: UUID, user_id: UUID
    ) -> None:
        """Take a member out of a team; NotFound if they are not in it."""
        actor = await locked_actor(tx, org_id, principal, "teams:write")
        if not await TeamRepository(tx, org_id).remove_member(team_id, user_id):
            raise NotFound
        await self._events.append(
            tx, "team.member_removed", org_id, actor.user_id, team_id=team_id, user_id=user_id
        )


async def demand_team(tx: Transaction, org_id: UUID, actor: Actor, team_id: UUID) -> None:
    """Raise PermissionDenied unless the actor may put people into this team."""
    actor.demand("teams:write")
    for row in await TeamRepository(tx, org_id).project_roles(team_id):
        project = ProjectPlace(row.project_id, row.access == "organization")
        actor.demand_project_role(project, row.role)


async def join(tx: Transaction, org_id: UUID, actor: Actor, team_id: UUID, user_id: UUID) -> None:
    """Put a member into a team on the word of an actor who may."""
    await demand_team(tx, org_id, actor, team_id)
    await TeamRepository(tx, org_id).add_member(team_id, user_id)
