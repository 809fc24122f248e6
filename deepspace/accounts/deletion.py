"""Deleting an account: what would go, and its going.

The user's row is deleted, with everything that hangs on it: address, name, password, factors, sessions,
identities, memberships. Books and audit rows keep the user's id, which then stands for nobody. API keys the
user made end everywhere, because somebody who is gone still knows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from deepspace.accounts.errors import OwnershipFirst
from deepspace.accounts.events import AccountEvents
from deepspace.accounts.identity_repository import PersonRepository
from deepspace.kit.clock import Clock
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import Conflict

Fate = Literal["leave", "close", "hand_over_first"]


class Closing(Protocol):
    """Ends an organisation whose only member deletes their account."""

    async def __call__(self, tx: Transaction, org_id: UUID, actor_id: UUID) -> None:
        """End the organisation; its books stay."""
        ...


@dataclass(frozen=True, slots=True)
class OrganizationFate:
    """What becomes of an organisation: it is left, it ends with its only member, or it needs another owner
    before the account can be deleted."""

    id: UUID
    name: str
    fate: Fate


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would go with an account."""

    organizations: Sequence[OrganizationFate]
    api_keys: Sequence[str]
    """Public ids of the keys that would end."""
    sessions: int
    obstacles: Sequence[str]
    """Why it can not be deleted now; empty if it can."""


class DeletionService:
    """Looks ahead, and deletes."""

    def __init__(self, closing: Closing, clock: Clock, events: AccountEvents) -> None:
        """`closing` ends organisations without members."""
        self._closing = closing
        self._clock = clock
        self._events = events

    async def outlook(self, tx: Transaction, user: Record) -> Outlook:
        """Return what would go, and what stands against it. Nothing changes."""
        people = PersonRepository(tx)
        places = [_fate(row) for row in await people.standing(user.id)]
        ending = [place.id for place in places if place.fate == "close"]
        obstacles = [
            f"You are the only owner of '{place.name}', which has other members. Hand it over first."
            for place in places
            if place.fate == "hand_over_first"
        ]
        if user.is_operator and not await people.other_operator(user.id):
            obstacles.append("You are the only operator of this platform.")
        return Outlook(
            places,
            await people.live_keys(user.id, ending),
            len(await people.sessions(user.id, self._clock.now())),
            obstacles,
        )

    async def delete(self, tx: Transaction, user: Record) -> tuple[Sequence[str], Sequence[UUID]]:
        """Delete the account; return the public ids of the keys and the ids of the sessions that ended.

        OwnershipFirst (409) while an organisation needs another owner; Conflict for the last operator, and
        for somebody who joins an organisation at this moment.
        """
        people = PersonRepository(tx)
        await people.lock_organizations(user.id)
        outlook = await self.outlook(tx, user)
        if any(place.fate == "hand_over_first" for place in outlook.organizations):
            raise OwnershipFirst(outlook.obstacles[0])
        if outlook.obstacles:
            raise Conflict(outlook.obstacles[0])
        await people.locked(user.id)  # a membership refers to this row: from here on there is no new one
        if (await self.outlook(tx, user)).organizations != outlook.organizations:
            raise Conflict("You joined or founded an organisation at this moment. Look again, then delete.")
        now = self._clock.now()
        ending = [place.id for place in outlook.organizations if place.fate == "close"]
        ended_keys = await people.revoke_keys(user.id, ending, now)
        ended_sessions = await people.end_sessions(user.id, now, "account deleted")
        for org_id in ending:
            await self._closing(tx, org_id, user.id)
        await people.remove(user.id)
        await self._events.append(tx, "account.deleted", user.id)
        return ended_keys, ended_sessions


def _fate(row: Record) -> OrganizationFate:
    if row.members == 1:
        return OrganizationFate(row.id, row.name, "close")
    alone = row.role == "owner" and row.owners == 1
    return OrganizationFate(row.id, row.name, "hand_over_first" if alone else "leave")
