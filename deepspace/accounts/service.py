"""Verbs of the accounts slice. They take a transaction and never commit."""

from __future__ import annotations

from uuid import UUID

from deepspace.accounts.errors import EmailTaken
from deepspace.accounts.events import AccountEvents
from deepspace.accounts.identity_repository import PersonRepository, SecondFactorRepository
from deepspace.accounts.passwords import Passwords
from deepspace.accounts.repository import PeopleRepository
from deepspace.kit.clock import Clock
from deepspace.kit.db import Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.ids import uuid7


class AccountsService:
    """Users as an operator makes them; organisations and projects."""

    def __init__(self, passwords: Passwords, clock: Clock, events: AccountEvents) -> None:
        """Take what it works with."""
        self._passwords = passwords
        self._clock = clock
        self._events = events

    async def create_user(
        self, tx: Transaction, *, email: str, name: str, password: str, is_operator: bool = False
    ) -> UUID:
        """Create a user, whose address the operator vouches for; EmailTaken if it is in use."""
        people = PeopleRepository(tx)
        if await people.user_by_email(email) is not None:
            raise EmailTaken
        user_id = uuid7()
        encoded = await self._passwords.hash(password)
        await people.add_user(
            id=user_id,
            email=email,
            name=name,
            password_hash=encoded,
            is_operator=is_operator,
            email_verified_at=self._clock.now(),
        )
        return user_id

    async def reset_password(self, tx: Transaction, *, email: str, password: str) -> None:
        """Set a user's password and end their sessions; NotFound if there is no such user."""
        people = PeopleRepository(tx)
        user = await people.user_by_email(email)
        if user is None:
            raise NotFound(f"There is no user with the address {email}.")
        await people.set_password(user.id, await self._passwords.hash(password))
        await PersonRepository(tx).end_sessions(user.id, self._clock.now(), "password reset by an operator")
        await self._events.append(tx, "account.password_reset", user.id, {"by": "an operator"})

    async def reset_second_factor(self, tx: Transaction, *, email: str) -> None:
        """Take a user's second factor away, recovery codes too, and end their sessions; NotFound if there is
        no such user."""
        user = await PeopleRepository(tx).user_by_email(email)
        if user is None:
            raise NotFound(f"There is no user with the address {email}.")
        await SecondFactorRepository(tx, user.id).remove()
        people = PersonRepository(tx)
        await people.end_sessions(user.id, self._clock.now(), "second factor reset by an operator")
        await self._events.append(tx, "account.second_factor_disabled", user.id, {"by": "an operator"})

    async def has_operator(self, tx: Transaction) -> bool:
        """Tell whether the first start has happened."""
        return await PeopleRepository(tx).any_operator()
