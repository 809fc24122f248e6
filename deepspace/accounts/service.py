"""Verbs of the accounts slice. They take a transaction and never commit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from deepspace.accounts.errors import EmailTaken, InvalidCredentials, SessionExpired
from deepspace.accounts.passwords import Passwords
from deepspace.accounts.repository import OrgRepository, PeopleRepository
from deepspace.accounts.tokens import TokenService, refresh_expiry
from deepspace.kit.clock import Clock
from deepspace.kit.crypto import KeyRing
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.ids import uuid7

REFRESH_GRACE = timedelta(seconds=10)
"""How long the refresh token before the newest one still works: for a page that was left during a refresh."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh pair of tokens and whose they are."""

    access_token: str
    refresh_token: str
    user: Record


class AccountsService:
    """Users, organisations, projects, keys and sessions."""

    def __init__(
        self,
        tokens: TokenService,
        passwords: Passwords,
        ring: KeyRing,
        clock: Clock,
        *,
        session_ttl: timedelta,
    ) -> None:
        """`session_ttl` is how long a sign-in lasts without use."""
        self._tokens = tokens
        self._passwords = passwords
        self._pepper = ring.key("api-key-hmac.1")
        self._clock = clock
        self.session_ttl = session_ttl

    async def create_user(
        self, tx: Transaction, *, email: str, name: str, password: str, is_operator: bool = False
    ) -> UUID:
        """Create a user; EmailTaken if the address is in use."""
        people = PeopleRepository(tx)
        if await people.user_by_email(email) is not None:
            raise EmailTaken
        user_id = uuid7()
        encoded = await self._passwords.hash(password)
        await people.add_user(
            id=user_id, email=email, name=name, password_hash=encoded, is_operator=is_operator
        )
        return user_id

    async def reset_password(self, tx: Transaction, *, email: str, password: str) -> None:
        """Set a user's password; NotFound if there is no such user."""
        people = PeopleRepository(tx)
        user = await people.user_by_email(email)
        if user is None:
            raise NotFound(f"There is no user with the address {email}.")
        await people.set_password(user.id, await self._passwords.hash(password))

    async def has_operator(self, tx: Transaction) -> bool:
        """Tell whether the first start has happened."""
        return await PeopleRepository(tx).any_operator()

    async def create_org(self, tx: Transaction, *, name: str, owner_id: UUID) -> UUID:
        """Create an organisation with its first owner."""
        people = PeopleRepository(tx)
        org_id = uuid7()
        await people.add_org(org_id, name)
        await people.add_member(org_id, owner_id, "owner")
        return org_id

    async def create_project(self, tx: Transaction, org_id: UUID, *, name: str) -> UUID:
        """Create a project."""
        project_id = uuid7()
        await OrgRepository(tx, org_id).add_project(project_id, name)
        return project_id

    async def login(
        self, tx: Transaction, *, email: str, password: str, user_agent: str, ip: str
    ) -> SignedIn:
        """Check a password and open a session; InvalidCredentials tells no more than that."""
        people = PeopleRepository(tx)
        user = await people.user_by_email(email)
        fits = await self._passwords.verify(user.password_hash if user is not None else None, password)
        if user is None or not fits or user.status != "active":
            raise InvalidCredentials
        session_id = uuid7()
        now = self._clock.now()
        await people.add_session(
            id=session_id,
            user_id=user.id,
            user_agent=user_agent[:300],
            ip=ip,
            created_at=now,
            refreshed_at=now,
            expires_at=refresh_expiry(now, self.session_ttl),
        )
        return self._signed_in(user, session_id, 1)

    async def refresh(self, tx: Transaction, token: str) -> SignedIn | None:
        """Exchange a refresh token for a new pair.

        Returns None if the token had been used before: the session is then revoked, and the caller must
        commit that before it answers `session_expired`.
        """
        session_id, generation = self._tokens.read_refresh_token(token)
        people = PeopleRepository(tx)
        session = await people.session(session_id, lock=True)
        now = self._clock.now()
        if session is None or session.revoked_at is not None or session.expires_at <= now:
            raise SessionExpired
        if generation == session.generation - 1 and now - session.refreshed_at < REFRESH_GRACE:
            # The browser left the page before it had the new cookie. It gets the same new token, not another.
            user = await people.user(session.user_id)
            if user is not None and user.status == "active":
                return self._signed_in(user, session_id, session.generation)
        if generation != session.generation:
            await people.revoke_session(session_id, now, "refresh token used twice")
            return None
        user = await people.user(session.user_id)
        if user is None or user.status != "active":
            raise SessionExpired
        await people.rotate_session(session_id, generation + 1, now, refresh_expiry(now, self.session_ttl))
        return self._signed_in(user, session_id, generation + 1)

    async def logout(self, tx: Transaction, token: str) -> UUID | None:
        """End the session of a refresh token and return its id; an unknown token is nobody's session."""
        try:
            session_id, _ = self._tokens.read_refresh_token(token)
        except SessionExpired:
            return None
        await PeopleRepository(tx).revoke_session(session_id, self._clock.now(), "signed out")
        return session_id

    def _signed_in(self, user: Record, session_id: UUID, generation: int) -> SignedIn:
        return SignedIn(
            self._tokens.access_token(user.id, session_id),
            self._tokens.refresh_token(session_id, generation),
            user,
        )
