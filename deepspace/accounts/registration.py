"""Registration: who may make an account for themselves.

`closed`: nobody. `invite`: who has an invitation. `open`: everybody, with an organisation of their own.

What an answer tells: an invitation is looked at before the address, so without a good one nothing is learned
about addresses. Whoever may register is told honestly that an address is taken: they can sign in with a new
account at once, so a vague answer would hide nothing and only confuse. Attempts are counted by address.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol
from uuid import UUID

from deepspace.accounts.errors import EmailTaken, RegistrationClosed
from deepspace.accounts.events import AccountEvents
from deepspace.accounts.founding import Founding
from deepspace.accounts.identity_repository import PersonRepository
from deepspace.accounts.repository import PeopleRepository
from deepspace.kit.db import Record, Transaction
from deepspace.kit.ids import uuid7

Mode = Literal["invite", "open", "closed"]


class Invitations(Protocol):
    """Invitations to organisations, as far as registration needs them."""

    async def is_good(self, tx: Transaction, token: str, email: str) -> bool:
        """Tell whether this address may register with this invitation now."""
        ...

    async def claim(self, tx: Transaction, token: str, email: str, user_id: UUID) -> bool:
        """Use the invitation up and make the user a member; False if it is not good (any more)."""
        ...


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who wants an account."""

    email: str
    name: str
    organization_name: str | None = None
    invitation_token: str | None = None
    locale: str = "en-US"
    email_verified: bool = False
    """Whether somebody we trust (a sign-in provider) vouches for the address."""


class RegistrationService:
    """Makes accounts for people who ask for one."""

    def __init__(
        self,
        mode: Mode,
        invitations: Invitations,
        founding: Founding,
        events: AccountEvents,
    ) -> None:
        """`mode` is DEEPSPACE_REGISTRATION."""
        self.mode: Mode = mode
        self._invitations = invitations
        self._founding = founding
        self._events = events

    async def check(self, tx: Transaction, newcomer: Newcomer) -> None:
        """Raise RegistrationClosed or EmailTaken as `register` would: asked before a password is hashed."""
        token = newcomer.invitation_token
        if self.mode == "closed" or (self.mode == "invite" and token is None):
            raise RegistrationClosed
        if token is not None and not await self._invitations.is_good(tx, token, newcomer.email):
            raise RegistrationClosed("This invitation is unknown, was used before, or is too old.")
        if await PeopleRepository(tx).user_by_email(newcomer.email) is not None:
            raise EmailTaken

    async def register(self, tx: Transaction, newcomer: Newcomer, password_hash: str | None) -> Record:
        """Make the account and return the user.

        With an invitation they become a member of its organisation; without one, or if they name an
        organisation where registration is open, they get one of their own with a default project.
        """
        await self.check(tx, newcomer)
        user_id = uuid7()
        people = PersonRepository(tx)
        made = await people.add(
            id=user_id,
            email=newcomer.email,
            name=newcomer.name,
            password_hash=password_hash,
            locale=newcomer.locale,
        )
        if not made:
            raise EmailTaken
        if newcomer.email_verified:
            await people.verify_email(user_id)
        token = newcomer.invitation_token
        if token is not None and not await self._invitations.claim(tx, token, newcomer.email, user_id):
            raise RegistrationClosed("This invitation is unknown, was used before, or is too old.")
        if self.mode == "open" and (token is None or newcomer.organization_name is not None):
            await self._founding.found(tx, newcomer.organization_name or newcomer.name, user_id)
        await self._events.append(tx, "account.registered", user_id, {"mode": self.mode})
        user = await people.locked(user_id)
        assert user is not None  # noqa: S101 - inserted above
        return user
