"""Verbs of organisations: found, rename, members and their roles, leave, hand over.

An organisation has an owner at every moment: whoever changes roles holds its lock, and the owners are counted
under it. They take a transaction and never commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from deepspace.accounts.events import OrganizationEvents
from deepspace.accounts.founding import Founding
from deepspace.accounts.granting import Actor
from deepspace.accounts.key_repository import KeyRepository
from deepspace.accounts.org_errors import LastOwner
from deepspace.accounts.org_repository import MemberRepository, OrgRowRepository, RoleRepository
from deepspace.accounts.permissions import API_KEY_PERMISSIONS
from deepspace.accounts.person import person_of
from deepspace.accounts.principal import Membership, Principal, membership
from deepspace.accounts.standing import locked_actor, place_of
from deepspace.kit.clock import Clock
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import NotFound, PermissionDenied, ValidationFailed


@dataclass(frozen=True, slots=True)
class RoleChoice:
    """A built-in role by name, or one of the organisation's own by id."""

    role: str | None = None
    role_id: UUID | None = None

    async def place(self, tx: Transaction, org_id: UUID) -> Membership:
        """Return the place it gives; ValidationFailed unless it is exactly one role there is."""
        if (self.role is None) == (self.role_id is None):
            raise ValidationFailed("Name a role, or the id of one of your own: one of the two.", param="role")
        if self.role_id is None:
            return membership(self.role or "")
        row = await RoleRepository(tx, org_id).role(self.role_id)
        if row is None:
            raise ValidationFailed("There is no such role in this organisation.", param="role_id")
        return membership("custom", frozenset(row.permissions))


class OrganizationService:
    """Organisations and their members."""

    def __init__(
        self, founding: Founding, clock: Clock, events: OrganizationEvents, *, founding_open: bool
    ) -> None:
        """`founding_open` lets people make organisations."""
        self._founding = founding
        self._clock = clock
        self._events = events
        self._founding_open = founding_open

    async def found(self, tx: Transaction, org_id: UUID, principal: Principal, name: str) -> None:
        """Make an organisation with the caller as its owner, a default project and a wallet.

        PermissionDenied for an API key, and where DEEPSPACE_REGISTRATION is `closed`, unless an operator
        asks.
        """
        person = person_of(principal)
        if not self._founding_open and not principal.may_operate("operator:users"):
            raise PermissionDenied("Organisations are made by the operators of this platform.")
        await self._founding.found(tx, name, person.user_id, org_id=org_id)
        await self._events.append(tx, "organization.created", org_id, person.user_id, name=name)

    async def rename(self, tx: Transaction, org_id: UUID, principal: Principal, name: str) -> None:
        """Give an organisation another name."""
        actor = await locked_actor(tx, org_id, principal, "organization:write")
        await OrgRowRepository(tx, org_id).rename(name)
        await self._events.append(tx, "organization.renamed", org_id, actor.user_id, name=name)

    async def set_role(
        self, tx: Transaction, org_id: UUID, principal: Principal, user_id: UUID, choice: RoleChoice
    ) -> Record:
        """Give a member another role: the caller holds all of the old one and all of the new one.

        A member who loses what an API key gives loses the keys they made: they know them.
        """
        actor = await locked_actor(tx, org_id, principal, "members:write")
        before = await _member(tx, org_id, user_id)
        after = await choice.place(tx, org_id)
        actor.demand_place(before)
        actor.demand_place(after)
        members = MemberRepository(tx, org_id)
        if before.role == "owner" and after.role != "owner":
            await _keep_an_owner(members)
        await members.set_role(user_id, after.role, choice.role_id)
        ended = 0
        if API_KEY_PERMISSIONS & (before.permissions - after.permissions):
            ended = await KeyRepository(tx, org_id).revoke_of(user_id, self._clock.now())
        await self._events.append(
            tx,
            "member.role_changed",
            org_id,
            actor.user_id,
            user_id=user_id,
            before=before.role,
            role=after.role,
            role_id=choice.role_id,
            revoked_api_keys=ended,
        )
        [row] = await members.members(1, None, user_id)
        return row

    async def remove(self, tx: Transaction, org_id: UUID, principal: Principal, user_id: UUID) -> int:
        """End a membership; return how many API keys of that person ended with it."""
        actor = await locked_actor(tx, org_id, principal, "members:write")
        place = await _member(tx, org_id, user_id)
        actor.demand_place(place)
        ended = await self._end(tx, org_id, user_id, place)
        await self._events.append(
            tx,
            "member.removed",
            org_id,
            actor.user_id,
            user_id=user_id,
            before=place.role,
            revoked_api_keys=ended,
        )
        return ended

    async def leave(self, tx: Transaction, org_id: UUID, principal: Principal) -> int:
        """End the caller's own membership; return how many of their API keys ended with it."""
        actor = await locked_actor(tx, org_id, principal)
        ended = await self._end(tx, org_id, actor.user_id, actor.place)
        await self._events.append(
            tx, "member.left", org_id, actor.user_id, before=actor.place.role, revoked_api_keys=ended
        )
        return ended

    async def transfer(self, tx: Transaction, org_id: UUID, principal: Principal, user_id: UUID) -> None:
        """Make another member the owner; the caller becomes an admin."""
        actor = await locked_actor(tx, org_id, principal, "organization:delete")
        actor.demand_place(membership("owner"))
        members = MemberRepository(tx, org_id)
        if user_id == actor.user_id or not await members.is_active(user_id):
            raise ValidationFailed("The new owner must be another active member.", param="user_id")
        await members.set_role(user_id, "owner", None)
        await members.set_role(actor.user_id, "admin", None)
        await self._events.append(tx, "organization.transferred", org_id, actor.user_id, user_id=user_id)

    async def _end(self, tx: Transaction, org_id: UUID, user_id: UUID, place: Membership) -> int:
        members = MemberRepository(tx, org_id)
        if place.role == "owner":
            await _keep_an_owner(members)
        ended = await KeyRepository(tx, org_id).revoke_of(user_id, self._clock.now())
        await members.remove(user_id)
        return ended


async def admit(tx: Transaction, org_id: UUID, actor: Actor, user_id: UUID, choice: RoleChoice) -> None:
    """Make somebody a member on the word of an actor who may give that role."""
    place = await choice.place(tx, org_id)
    actor.demand_place(place)
    await MemberRepository(tx, org_id).add(user_id, place.role, choice.role_id)


async def _member(tx: Transaction, org_id: UUID, user_id: UUID) -> Membership:
    place = await place_of(tx, org_id, user_id)
    if place is None:
        raise NotFound("There is no such member.")
    return place


async def _keep_an_owner(members: MemberRepository) -> None:
    if await members.owners() < 2:
        raise LastOwner
