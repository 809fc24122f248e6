"""Verbs of an organisation's own roles. They take a transaction and never commit."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from deepspace.accounts.events import OrganizationEvents
from deepspace.accounts.granting import with_always
from deepspace.accounts.invitation_repository import InvitationRepository
from deepspace.accounts.key_repository import KeyRepository
from deepspace.accounts.org_errors import NameTaken, RoleInUse
from deepspace.accounts.org_repository import RoleRepository
from deepspace.accounts.permissions import API_KEY_PERMISSIONS
from deepspace.accounts.principal import Principal
from deepspace.accounts.standing import locked_actor
from deepspace.kit.clock import Clock
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.ids import uuid7


class RoleService:
    """Roles of organisations' own."""

    def __init__(self, clock: Clock, events: OrganizationEvents) -> None:
        """The clock tells which invitations are open."""
        self._clock = clock
        self._events = events

    async def role(self, tx: Transaction, org_id: UUID, role_id: UUID) -> Record:
        """Return a role; NotFound if there is none."""
        row = await RoleRepository(tx, org_id).role(role_id)
        if row is None:
            raise NotFound
        return row

    async def make(
        self, tx: Transaction, org_id: UUID, principal: Principal, name: str, permissions: Sequence[str]
    ) -> Record:
        """Make a role of permissions that the caller holds."""
        actor = await locked_actor(tx, org_id, principal, "roles:write")
        actor.demand_words(permissions)
        roles = RoleRepository(tx, org_id)
        if await roles.named(name) is not None:
            raise NameTaken
        role_id = uuid7()
        held = with_always(permissions)
        await roles.add(id=role_id, name=name, permissions=held)
        await self._events.append(
            tx, "role.created", org_id, actor.user_id, role_id=role_id, name=name, permissions=held
        )
        return await self.role(tx, org_id, role_id)

    async def change(
        self,
        tx: Transaction,
        org_id: UUID,
        principal: Principal,
        role_id: UUID,
        name: str | None,
        permissions: Sequence[str] | None,
    ) -> Record:
        """Change a role for everybody who has it: the caller holds what it gave and what it will give. Who
        loses what an API key gives loses the keys they made, as by a change of their own role."""
        actor = await locked_actor(tx, org_id, principal, "roles:write")
        row = await self.role(tx, org_id, role_id)
        actor.demand_words([*row.permissions, *(permissions or ())])
        roles = RoleRepository(tx, org_id)
        same = await roles.named(name) if name is not None else None
        if same is not None and same.id != role_id:
            raise NameTaken
        kept = with_always(permissions) if permissions is not None else row.permissions
        await roles.change(role_id, name=name or row.name, permissions=kept)
        ended = 0
        if API_KEY_PERMISSIONS & (frozenset(row.permissions) - frozenset(kept)):
            ended = await KeyRepository(tx, org_id).revoke_of_role(role_id, self._clock.now())
        await self._events.append(
            tx,
            "role.changed",
            org_id,
            actor.user_id,
            role_id=role_id,
            name=name or row.name,
            before=row.permissions,
            permissions=kept,
            revoked_api_keys=ended,
        )
        return await self.role(tx, org_id, role_id)

    async def remove(self, tx: Transaction, org_id: UUID, principal: Principal, role_id: UUID) -> None:
        """Delete a role; RoleInUse while members have it or open invitations give it."""
        actor = await locked_actor(tx, org_id, principal, "roles:write")
        row = await self.role(tx, org_id, role_id)
        actor.demand_words(row.permissions)
        waiting = await InvitationRepository(tx, org_id).open_count(self._clock.now(), role_id)
        if row.members or waiting:
            raise RoleInUse
        await RoleRepository(tx, org_id).remove(role_id)
        await self._events.append(tx, "role.deleted", org_id, actor.user_id, role_id=role_id, name=row.name)
