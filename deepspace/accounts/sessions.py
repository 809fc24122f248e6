"""Sessions: opened by a sign-in, kept by rotating refresh tokens, listed and ended by their owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from deepspace.accounts.errors import SessionExpired
from deepspace.accounts.events import AccountEvents
from deepspace.accounts.identity_repository import PersonRepository
from deepspace.accounts.repository import PeopleRepository
from deepspace.accounts.tokens import TokenService, refresh_expiry
from deepspace.kit.clock import Clock
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.ids import uuid7

REFRESH_GRACE = timedelta(seconds=10)
"""How long the refresh token before the newest one still works: for a page that was left during a refresh."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Where a sign-in comes from: shown to its owner in the list of sessions."""

    user_agent: str
    ip: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh pair of tokens and whose they are."""

    access_token: str
    refresh_token: str
    user: Record


class SessionService:
    """Opens, refreshes, lists and ends sessions."""

    def __init__(
        self, tokens: TokenService, clock: Clock, events: AccountEvents, *, session_ttl: timedelta
    ) -> None:
        """`session_ttl` is how long a sign-in lasts without use."""
        self._tokens = tokens
        self._clock = clock
        self._events = events
        self.session_ttl = session_ttl

    async def open(self, tx: Transaction, user: Record, visit: Visit, *, how: str) -> SignedIn:
        """Open a session for a user who has shown who they are; `how` is `password`, `oidc`, …"""
        session_id = uuid7()
        now = self._clock.now()
        await PeopleRepository(tx).add_session(
            id=session_id,
            user_id=user.id,
            user_agent=visit.user_agent[:300],
            ip=visit.ip,
            created_at=now,
            refreshed_at=now,
            expires_at=refresh_expiry(now, self.session_ttl),
        )
        await self._events.append(
            tx, "account.signed_in", user.id, {"how": how, "ip": visit.ip, "session_id": str(session_id)}
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
            await self._events.append(
                tx, "account.refresh_token_reused", session.user_id, {"session_id": str(session_id)}
            )
            return None
        user = await people.user(session.user_id)
        if user is None or user.status != "active":
            raise SessionExpired
        await people.rotate_session(session_id, generation + 1, now, refresh_expiry(now, self.session_ttl))
        return self._signed_in(user, session_id, generation + 1)

    async def sign_out(self, tx: Transaction, token: str) -> UUID | None:
        """End the session of a refresh token and return its id; an unknown token is nobody's session."""
        try:
            session_id, _ = self._tokens.read_refresh_token(token)
        except SessionExpired:
            return None
        await PeopleRepository(tx).revoke_session(session_id, self._clock.now(), "signed out")
        return session_id

    async def of_user(self, tx: Transaction, user_id: UUID) -> Sequence[Record]:
        """Return a user's sessions that have not ended, the one used last first."""
        return await PersonRepository(tx).sessions(user_id, self._clock.now())

    async def end(self, tx: Transaction, user_id: UUID, session_id: UUID) -> None:
        """End one session of a user; NotFound if it has ended or is not theirs."""
        people = PersonRepository(tx)
        if not await people.end_sessions(user_id, self._clock.now(), "ended by its owner", only=session_id):
            raise NotFound
        await self._events.append(tx, "account.session_ended", user_id, {"session_id": str(session_id)})

    async def end_all(
        self, tx: Transaction, user_id: UUID, reason: str, *, keep: UUID | None = None
    ) -> Sequence[UUID]:
        """End a user's sessions, all but the one to `keep`; return the ids of those that ended now."""
        ended = await PersonRepository(tx).end_sessions(user_id, self._clock.now(), reason, keep=keep)
        if ended:
            await self._events.append(
                tx, "account.sessions_ended", user_id, {"reason": reason, "sessions": str(len(ended))}
            )
        return ended

    def _signed_in(self, user: Record, session_id: UUID, generation: int) -> SignedIn:
        return SignedIn(
            self._tokens.access_token(user.id, session_id),
            self._tokens.refresh_token(session_id, generation),
            user,
        )
