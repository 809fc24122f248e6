"""Deleting an organisation: what would go, and its going.

A deleted organisation is a tombstone. Its row, its projects' names, its revoked keys, its wallet, ledger,
usage and audit rows stay, because books name them; nobody but operators sees them. Everything else goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from deepspace.accounts.events import OrganizationEvents
from deepspace.accounts.invitation_repository import InvitationRepository
from deepspace.accounts.key_repository import KeyRepository
from deepspace.accounts.org_parts import Ending, Obstacle, OrgPart, Survey
from deepspace.accounts.org_repository import MemberRepository, OrgRowRepository, RoleRepository
from deepspace.accounts.principal import Principal
from deepspace.accounts.project_repository import ProjectRepository
from deepspace.accounts.standing import locked_actor
from deepspace.accounts.team_repository import TeamRepository
from deepspace.kit.clock import Clock
from deepspace.kit.db import Transaction
from deepspace.kit.errors import NotFound


class OrgDeletion:
    """Looks ahead, and deletes. Takes a transaction and never commits."""

    def __init__(self, parts: Sequence[OrgPart], clock: Clock, events: OrganizationEvents) -> None:
        """`parts` are what other slices keep for an organisation."""
        self._parts = parts
        self._clock = clock
        self._events = events

    async def survey(self, tx: Transaction, org_id: UUID) -> Survey:
        """Return what would go, what would stay, and what stands in the way. Nothing changes."""
        projects = ProjectRepository(tx, org_id)
        goes = {
            "members": await MemberRepository(tx, org_id).count(),
            "teams": len(await TeamRepository(tx, org_id).teams()),
            "roles": len(await RoleRepository(tx, org_id).roles()),
            "projects": await projects.count(),
            "project_members": await projects.count_members(),
            "api_keys": await KeyRepository(tx, org_id).count(),
            "invitations": await InvitationRepository(tx, org_id).open_count(self._clock.now()),
        }
        stays: dict[str, int] = {}
        obstacles: list[Obstacle] = []
        for part in self._parts:
            found = await part.survey(tx, org_id)
            goes |= found.goes
            stays |= found.stays
            obstacles += found.obstacles
        return Survey(goes, stays, tuple(obstacles))

    async def delete(
        self, tx: Transaction, org_id: UUID, principal: Principal, *, forfeit_balance: bool
    ) -> None:
        """Delete an organisation on its owner's word; a part's error (409) if something stands in the way."""
        actor = await locked_actor(tx, org_id, principal, "organization:delete")
        await self._end(tx, org_id, Ending(actor.user_id, forfeit_balance))

    async def __call__(self, tx: Transaction, org_id: UUID, actor_id: UUID) -> None:
        """Delete an organisation whose only member deletes their account; its money is given up with it."""
        if await OrgRowRepository(tx, org_id).lock() is None:
            raise NotFound
        await self._end(tx, org_id, Ending(actor_id, forfeit_balance=True))

    async def _end(self, tx: Transaction, org_id: UUID, ending: Ending) -> None:
        for part in self._parts:
            await part.close(tx, org_id, ending)
        now = self._clock.now()
        await KeyRepository(tx, org_id).revoke_all(now)
        await InvitationRepository(tx, org_id).remove_all()
        await ProjectRepository(tx, org_id).archive_all(now)
        await TeamRepository(tx, org_id).remove_all()
        await MemberRepository(tx, org_id).remove_all()
        await RoleRepository(tx, org_id).remove_all()
        await OrgRowRepository(tx, org_id).bury(now)
        await self._events.append(tx, "organization.deleted", org_id, ending.user_id)
