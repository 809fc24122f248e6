"""Signing in: password, then the second factor if there is one, then a session.

Each step is a short transaction of its own: while a password is hashed no connection waits, so a storm of
sign-ins takes none from the rest of the platform.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

from deepspace.accounts.devices import Devices
from deepspace.accounts.errors import (
    InvalidCredentials,
    LinkInvalid,
    SecondFactorRequired,
    SessionExpired,
    TooManyAttempts,
)
from deepspace.accounts.identity_repository import PersonRepository
from deepspace.accounts.one_time import LIFETIME, OneTimeTokens
from deepspace.accounts.passwords import Passwords
from deepspace.accounts.repository import PeopleRepository
from deepspace.accounts.sessions import SessionService, SignedIn, Visit
from deepspace.accounts.throttle import (
    LINK_MAIL,
    PASSWORD_ANYWHERE,
    PASSWORD_DEVICE,
    PASSWORD_HERE,
    SECOND_FACTOR,
    Knock,
    Throttle,
)
from deepspace.accounts.totp import SecondFactor
from deepspace.kit.db import Database, Record, Transaction
from deepspace.kit.errors import Overloaded

LANES = 3
"""Sign-ins with a password that one gateway process works on at a time: enough to keep the hashing busy, few
enough to leave most of the database's connections to everybody else."""

MAX_UNDER_WAY = 64
"""Sign-ins with a password that one gateway process has under way. More are refused before they cost a
transaction or a hash."""

STALL_S = 1.0
MAX_STALLED = 2_000
"""How long a refused sign-in waits for its answer, and how many may wait."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The first factor is right and a second one is needed: goes back together with its code."""

    token: str

    def error(self) -> SecondFactorRequired:
        """Return what a caller is told."""
        seconds = int(LIFETIME["second_factor"].total_seconds())
        return SecondFactorRequired(errors=[{"challenge": self.token, "expires_in": seconds}])


class SignIn:
    """Lets people in."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        throttle: Throttle,
        *,
        devices: Devices,
        sessions: SessionService,
        second_factor: SecondFactor,
        one_time: OneTimeTokens,
    ) -> None:
        """Open short transactions on `database`."""
        self._database = database
        self._passwords = passwords
        self._throttle = throttle
        self._devices = devices
        self._sessions = sessions
        self._second_factor = second_factor
        self._one_time = one_time
        self._under_way = 0
        self._stalled = 0
        self._lanes = asyncio.Semaphore(LANES)

    async def by_password(self, *, email: str, password: str, device: str | None, visit: Visit) -> SignedIn:
        """Check a password and open a session.

        InvalidCredentials tells no more than that, for an unknown address as for a wrong password or a
        disabled account, and takes as long; TooManyAttempts after some of those; SecondFactorRequired if the
        password is right and the account has a second factor.
        """
        if self._under_way >= MAX_UNDER_WAY:
            await self._stall()
            raise Overloaded("Too many sign-ins at once; try again shortly.", headers={"retry-after": "2"})
        self._under_way += 1
        try:
            async with self._lanes:
                return await self._by_password(email, password, device, visit)
        finally:
            self._under_way -= 1

    async def _stall(self) -> None:
        """Let a refusal wait. A storm asks again as soon as it is answered; a client that waits costs
        nothing, and each second it waits is a request less."""
        if self._stalled < MAX_STALLED:
            self._stalled += 1
            try:
                await asyncio.sleep(STALL_S)
            finally:
                self._stalled -= 1

    async def _by_password(self, email: str, password: str, device: str | None, visit: Visit) -> SignedIn:
        knocks = self._knocks(email, device, visit.ip)
        await self._throttle.admit(*knocks)
        async with self._database.platform() as tx:
            user = await PeopleRepository(tx).user_by_email(email)
        encoded = user.password_hash if user is not None else None
        fits = await self._passwords.verify(encoded, password)
        if user is None or encoded is None or not fits or user.status != "active":
            raise InvalidCredentials
        fresh = await self._passwords.hash(password) if self._passwords.is_outdated(encoded) else encoded
        async with self._database.platform() as tx:
            people = PersonRepository(tx)
            now = await people.locked(user.id)
            if now is None or now.password_hash != encoded or now.status != "active":
                raise InvalidCredentials  # it was changed while the old one was being checked
            if fresh != encoded:
                await people.update(user.id, password_hash=fresh)
            await self._throttle.succeeded(tx, knocks)
            let_in = await self.after_first_factor(tx, now, visit, how="password")
        if isinstance(let_in, Challenge):
            raise let_in.error()
        return let_in

    async def after_first_factor(
        self, tx: Transaction, user: Record, visit: Visit, *, how: str
    ) -> SignedIn | Challenge:
        """Open a session, or return a challenge if the account has a second factor."""
        if (await self._second_factor.state(tx, user.id)).enabled:
            return Challenge(await self._one_time.issue(tx, user.id, "second_factor"))
        return await self._sessions.open(tx, user, visit, how=how)

    async def by_second_factor(self, *, challenge: str, code: str, visit: Visit) -> SignedIn:
        """Finish a sign-in with a code. SessionExpired if the challenge is too old, SecondFactorInvalid for
        a wrong code, TooManyAttempts after some of those: the challenge stays good for the next try."""
        user_id = await self._challenged(challenge)
        knock = Knock(SECOND_FACTOR, str(user_id))
        await self._throttle.admit(knock)
        async with self._database.platform() as tx:
            user = await PersonRepository(tx).locked(user_id)
            if user is None or user.status != "active":
                raise InvalidCredentials
            await self._second_factor.demand(tx, user_id, code)
            try:
                await self._one_time.redeem(tx, challenge, "second_factor")
            except LinkInvalid:
                raise SessionExpired("This sign-in was finished or has expired; begin again.") from None
            await self._throttle.succeeded(tx, [knock])
            return await self._sessions.open(tx, user, visit, how="second factor")

    async def _challenged(self, challenge: str) -> UUID:
        try:
            async with self._database.platform() as tx:
                return (await self._one_time.find(tx, "second_factor", challenge)).user_id
        except LinkInvalid:
            raise SessionExpired("This sign-in was finished or has expired; begin again.") from None

    def _knocks(self, email: str, device: str | None, ip: str) -> tuple[Knock, ...]:
        account = email.lower()
        known = self._devices.known(device, email)
        if known is not None:
            return (Knock(PASSWORD_DEVICE, f"{account}|{known}"),)
        return (Knock(PASSWORD_HERE, f"{account}|{ip}"), Knock(PASSWORD_ANYWHERE, account))


def password_knocks(email: str) -> tuple[Knock, ...]:
    """Return what a reset of the password forgives; what was counted for single addresses stays."""
    return (Knock(PASSWORD_ANYWHERE, email.lower()),)


async def may_mail(throttle: Throttle, email: str) -> bool:
    """Tell whether one more mail with a link may go to this address; the caller learns nothing else."""
    try:
        await throttle.admit(Knock(LINK_MAIL, email.lower()))
    except TooManyAttempts:
        return False
    return True
