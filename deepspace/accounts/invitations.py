"""Verbs of invitations. They take a transaction and never commit.

An invitation is a token, kept as an HMAC, for one person, once, until it expires. It gives what its maker
may give at the moment it is accepted: when somebody is removed or loses a right, the invitations they made
lose it too.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from deepspace.accounts.events import OrganizationEvents
from deepspace.accounts.granting import Actor
from deepspace.accounts.invitation_repository import InvitationDirectory, InvitationRepository
from deepspace.accounts.org_errors import (
    AlreadyMember,
    InvitationExpired,
    InvitationNotYours,
    InvitationRevoked,
    InvitationUsed,
)
from deepspace.accounts.org_repository import MemberRepository, OrgRowRepository
from deepspace.accounts.organizations import RoleChoice, admit
from deepspace.accounts.principal import Principal
from deepspace.accounts.project_repository import ProjectRepository
from deepspace.accounts.projects import place_of_project
from deepspace.accounts.repository import PeopleRepository
from deepspace.accounts.standing import locked_actor, place_of
from deepspace.accounts.team_repository import TeamRepository
from deepspace.accounts.teams import demand_team, join
from deepspace.kit.clock import Clock
from deepspace.kit.crypto import KeyRing, hmac_sha256
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import Conflict, NotFound, PlatformError, ValidationFailed
from deepspace.kit.ids import uuid7

MAX_OPEN = 500
"""Open invitations of one organisation: nobody sends mail to the whole world from here."""

State = Literal["open", "accepted", "revoked", "expired"]


@dataclass(frozen=True, slots=True)
class InvitationWish:
    """What an invitation is to give, and to whom."""

    choice: RoleChoice
    email: str | None = None
    team_id: UUID | None = None
    project_id: UUID | None = None
    project_role: str | None = None
    valid_for: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Invitee:
    """A user who holds an invitation's token."""

    user_id: UUID
    email: str


class InvitationService:
    """Invitations to organisations."""

    def __init__(self, ring: KeyRing, clock: Clock, events: OrganizationEvents) -> None:
        """Derive the key under which tokens are kept."""
        self._key = ring.key("invitations.1")
        self._clock = clock
        self._events = events

    def state(self, row: Record) -> State:
        """Tell whether an invitation can still be accepted."""
        if row.accepted_at is not None:
            return "accepted"
        if row.revoked_at is not None:
            return "revoked"
        return "open" if row.expires_at > self._clock.now() else "expired"

    async def make(
        self, tx: Transaction, org_id: UUID, principal: Principal, wish: InvitationWish
    ) -> tuple[Record, str]:
        """Make an invitation; return it and its token, which is kept nowhere."""
        actor = await locked_actor(tx, org_id, principal, "members:write")
        place = await wish.choice.place(tx, org_id)
        if (wish.project_id is None) != (wish.project_role is None):
            raise ValidationFailed(
                "A project needs a role in it, and the other way round.", param="project_id"
            )
        await self._demand(tx, org_id, actor, wish)
        invitations = InvitationRepository(tx, org_id)
        if await invitations.open_count(self._clock.now()) >= MAX_OPEN:
            raise Conflict(f"There are {MAX_OPEN} open invitations already; revoke some first.")
        token, invitation_id = self._token(), uuid7()
        now = self._clock.now()
        await invitations.add(
            id=invitation_id,
            token_hmac=self._hmac(token),
            email=wish.email,
            role=place.role,
            role_id=wish.choice.role_id,
            team_id=wish.team_id,
            project_id=wish.project_id,
            project_role=wish.project_role,
            created_by=actor.user_id,
            created_at=now,
            expires_at=now + wish.valid_for,
        )
        await self._events.append(
            tx,
            "invitation.created",
            org_id,
            actor.user_id,
            invitation_id=invitation_id,
            role=place.role,
            role_id=wish.choice.role_id,
            team_id=wish.team_id,
            project_id=wish.project_id,
            project_role=wish.project_role,
        )
        return await self.invitation(tx, org_id, invitation_id), token

    async def invitation(self, tx: Transaction, org_id: UUID, invitation_id: UUID) -> Record:
        """Return an invitation; NotFound if there is none."""
        rows = await InvitationRepository(tx, org_id).invitations(1, None, invitation_id)
        if not rows:
            raise NotFound
        return rows[0]

    async def revoke(self, tx: Transaction, org_id: UUID, principal: Principal, invitation_id: UUID) -> None:
        """Take an invitation back; InvitationUsed if it was accepted."""
        actor = await locked_actor(tx, org_id, principal, "members:write")
        row = await self.invitation(tx, org_id, invitation_id)
        if row.accepted_at is not None:
            raise InvitationUsed
        if row.revoked_at is None:
            await InvitationRepository(tx, org_id).change(invitation_id, revoked_at=self._clock.now())
            await self._events.append(
                tx, "invitation.revoked", org_id, actor.user_id, invitation_id=invitation_id
            )

    async def resend(
        self, tx: Transaction, org_id: UUID, principal: Principal, invitation_id: UUID
    ) -> tuple[Record, str]:
        """Give an invitation a new token and its whole time again, on the caller's word; the old one ends."""
        actor = await locked_actor(tx, org_id, principal, "members:write")
        row = await self.invitation(tx, org_id, invitation_id)
        if self.state(row) == "accepted":
            raise InvitationUsed
        if self.state(row) == "revoked":
            raise InvitationRevoked
        await self._demand(tx, org_id, actor, _wish(row))
        token, now = self._token(), self._clock.now()
        await InvitationRepository(tx, org_id).change(
            invitation_id,
            token_hmac=self._hmac(token),
            created_by=actor.user_id,
            created_at=now,
            expires_at=now + (row.expires_at - row.created_at),
        )
        await self._events.append(tx, "invitation.resent", org_id, actor.user_id, invitation_id=invitation_id)
        return await self.invitation(tx, org_id, invitation_id), token

    async def open_one(self, tx: Transaction, token: str) -> Record:
        """Return the invitation of a token; NotFound if there is none, or the error that says why it is not
        good any more. On a platform transaction."""
        row = await InvitationDirectory(tx).by_token(self._hmac(token))
        if row is None:
            raise NotFound("There is no such invitation.")
        match self.state(row):
            case "accepted":
                raise InvitationUsed
            case "revoked":
                raise InvitationRevoked
            case "expired":
                raise InvitationExpired
            case "open":
                return row

    async def accept(self, tx: Transaction, token: str, invitee: Invitee) -> UUID:
        """Make somebody a member and return the organisation; on a platform transaction.

        Racers come here one after the other, by the organisation's lock; the first one uses the token up.
        """
        org_id = (await self.open_one(tx, token)).org_id
        if await OrgRowRepository(tx, org_id).lock() is None:
            raise NotFound("There is no such invitation.")
        row = await self.open_one(tx, token)
        if not _fits(row, invitee.email):
            raise InvitationNotYours
        if await MemberRepository(tx, org_id).place(invitee.user_id) is not None:
            raise AlreadyMember("You are a member of this organisation already.")
        maker = await self._maker(tx, row)
        wish = _wish(row)
        await admit(tx, org_id, maker, invitee.user_id, wish.choice)
        if wish.team_id is not None:
            await join(tx, org_id, maker, wish.team_id, invitee.user_id)
        if wish.project_id is not None:
            await ProjectRepository(tx, org_id).add_member(
                id=uuid7(), project_id=wish.project_id, user_id=invitee.user_id, role=wish.project_role
            )
        await InvitationRepository(tx, org_id).change(
            row.id, accepted_at=self._clock.now(), accepted_by=invitee.user_id
        )
        await self._events.append(
            tx,
            "invitation.accepted",
            org_id,
            invitee.user_id,
            invitation_id=row.id,
            inviter_id=row.created_by,
        )
        return org_id

    async def is_good(self, tx: Transaction, token: str, email: str) -> bool:
        """Tell whether this address may register with this invitation now."""
        try:
            return _fits(await self.open_one(tx, token), email)
        except PlatformError:
            return False

    async def claim(self, tx: Transaction, token: str, email: str, user_id: UUID) -> bool:
        """Accept for a user who registers in this transaction; False if the invitation is not good."""
        try:
            await self.accept(tx, token, Invitee(user_id, email))
        except PlatformError:
            return False
        return True

    async def invitee(self, tx: Transaction, user_id: UUID) -> Invitee:
        """Return a user as one who may be invited."""
        user = await PeopleRepository(tx).user(user_id)
        if user is None:
            raise NotFound
        return Invitee(user.id, user.email)

    async def _maker(self, tx: Transaction, row: Record) -> Actor:
        """Return who stands behind an invitation now; InvitationRevoked if they may no longer give it."""
        maker_id: UUID | None = row.created_by
        if maker_id is None or not await MemberRepository(tx, row.org_id).is_active(maker_id):
            raise InvitationRevoked
        place = await place_of(tx, row.org_id, maker_id)
        if place is None:
            raise InvitationRevoked
        maker = Actor(maker_id, place)
        try:
            maker.demand("members:write")
            await self._demand(tx, row.org_id, maker, _wish(row))
        except PlatformError:
            raise InvitationRevoked from None
        return maker

    async def _demand(self, tx: Transaction, org_id: UUID, actor: Actor, wish: InvitationWish) -> None:
        """Raise unless the actor may give all that is wished."""
        place = await wish.choice.place(tx, org_id)
        if place.role == "owner":
            raise ValidationFailed("Nobody is invited as an owner; hand the organisation over.", param="role")
        actor.demand_place(place)
        if wish.team_id is not None:
            if await TeamRepository(tx, org_id).team(wish.team_id) is None:
                raise ValidationFailed("There is no such team in this organisation.", param="team_id")
            await demand_team(tx, org_id, actor, wish.team_id)
        if wish.project_id is not None and wish.project_role is not None:
            row = await ProjectRepository(tx, org_id).project(wish.project_id)
            if row is None or not actor.place.may(place_of_project(row), "projects:read"):
                raise ValidationFailed("There is no such project in this organisation.", param="project_id")
            actor.demand_in_project(place_of_project(row), "projects:write")
            actor.demand_project_role(place_of_project(row), wish.project_role)

    def _token(self) -> str:
        return secrets.token_urlsafe(32)

    def _hmac(self, token: str) -> bytes:
        return hmac_sha256(self._key, token.encode())


def _fits(row: Record, email: str) -> bool:
    return row.email is None or row.email.casefold() == email.casefold()


def _wish(row: Record) -> InvitationWish:
    choice = RoleChoice(None, row.role_id) if row.role_id is not None else RoleChoice(row.role)
    return InvitationWish(choice, row.email, row.team_id, row.project_id, row.project_role)
