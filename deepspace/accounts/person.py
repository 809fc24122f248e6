"""The person behind a request, for what only a person may do: an API key changes nobody's account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from deepspace.accounts.errors import InvalidCredentials, RecentSignInNeeded, SessionExpired
from deepspace.accounts.passwords import Passwords
from deepspace.accounts.principal import Principal
from deepspace.accounts.repository import PeopleRepository
from deepspace.accounts.throttle import PASSWORD_AGAIN, Knock, Throttle
from deepspace.kit.clock import Clock
from deepspace.kit.db import Database, Record
from deepspace.kit.errors import PermissionDenied

RECENT = timedelta(minutes=10)
"""How fresh a sign-in must be to stand in for the password an account does not have."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user in one of their sessions."""

    user_id: UUID
    session_id: UUID


def person_of(principal: Principal) -> Person:
    """Return the person of a session; PermissionDenied for an API key."""
    if principal.kind != "session" or principal.user_id is None or principal.session_id is None:
        raise PermissionDenied("This needs a sign-in; an API key cannot do it.")
    return Person(principal.user_id, principal.session_id)


class Reauthentication:
    """Makes sure that it is still the person who signed in: a stolen access token alone changes nothing."""

    def __init__(self, database: Database, passwords: Passwords, throttle: Throttle, clock: Clock) -> None:
        """Reads in short transactions of its own: no connection waits while a password is hashed."""
        self._database = database
        self._passwords = passwords
        self._throttle = throttle
        self._clock = clock

    async def confirm(self, person: Person, password: str | None) -> Record:
        """Return the user if the password is theirs.

        InvalidCredentials if it is not, TooManyAttempts after some of those. An account without a password
        needs a sign-in of the last ten minutes instead: RecentSignInNeeded.
        """
        async with self._database.platform() as tx:
            people = PeopleRepository(tx)
            user = await people.user(person.user_id)
            session = await people.session(person.session_id)
        if user is None or session is None or session.revoked_at is not None:
            raise SessionExpired
        if user.password_hash is None:
            if self._clock.now() - session.created_at > RECENT:
                raise RecentSignInNeeded
            return user
        knock = Knock(PASSWORD_AGAIN, str(person.user_id))
        await self._throttle.admit(knock)
        if not await self._passwords.verify(user.password_hash, password or ""):
            raise InvalidCredentials("The password is wrong.")
        async with self._database.platform() as tx:
            await self._throttle.succeeded(tx, [knock])
        return user
