"""New passwords: by whoever knows the old one, or by whoever reads the account's mail."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from deepspace.accounts.errors import LinkInvalid
from deepspace.accounts.events import AccountEvents
from deepspace.accounts.identity_repository import PersonRepository
from deepspace.accounts.mail import Mail
from deepspace.accounts.mail_texts import MailTexts
from deepspace.accounts.one_time import OneTimeTokens
from deepspace.accounts.repository import PeopleRepository
from deepspace.accounts.sessions import SessionService
from deepspace.accounts.sign_in import password_knocks
from deepspace.accounts.throttle import Throttle
from deepspace.kit.db import Record, Transaction


class PasswordService:
    """Changes passwords. Hashes are made by the caller, before a transaction is open."""

    def __init__(
        self,
        sessions: SessionService,
        one_time: OneTimeTokens,
        throttle: Throttle,
        texts: MailTexts,
        events: AccountEvents,
    ) -> None:
        """Take what it works with."""
        self._sessions = sessions
        self._one_time = one_time
        self._throttle = throttle
        self._texts = texts
        self._events = events

    async def change(
        self, tx: Transaction, user: Record, password_hash: str, *, keep: UUID
    ) -> tuple[Sequence[UUID], Mail]:
        """Set a password and end all sessions but the one to `keep`; return those and the notice."""
        await self._set(tx, user.id, password_hash)
        await self._events.append(tx, "account.password_changed", user.id)
        return await self._sessions.end_all(tx, user.id, "password changed", keep=keep), self._notice(user)

    async def forgotten(self, tx: Transaction, email: str) -> Mail | None:
        """Return the mail with a link to set a new password, or None if nobody has this address."""
        user = await PeopleRepository(tx).user_by_email(email)
        if user is None or user.status != "active":
            return None
        token = await self._one_time.issue(tx, user.id, "reset_password", email=user.email)
        await self._events.append(tx, "account.password_reset_asked", user.id)
        return self._texts.write(
            "reset_password", to=user.email, name=user.name, locale=user.locale, token=token
        )

    async def reset(self, tx: Transaction, token: str, password_hash: str) -> tuple[Sequence[UUID], Mail]:
        """Set a password by a link from a mail, which proves the address too; end every session.

        LinkInvalid if the link is not good (any more), or the account's address is another one by now.
        """
        row = await self._one_time.redeem(tx, token, "reset_password")
        people = PersonRepository(tx)
        user = await people.locked(row.user_id)
        if user is None or user.status != "active" or user.email != row.email:
            raise LinkInvalid
        await self._set(tx, user.id, password_hash)
        await people.verify_email(user.id)
        await self._throttle.succeeded(tx, password_knocks(user.email))
        await self._events.append(tx, "account.password_reset", user.id)
        return await self._sessions.end_all(tx, user.id, "password reset"), self._notice(user)

    async def demand_link(self, tx: Transaction, token: str) -> None:
        """Raise LinkInvalid unless a link for a new password is good: asked before a password is hashed."""
        await self._one_time.find(tx, "reset_password", token)

    async def _set(self, tx: Transaction, user_id: UUID, password_hash: str) -> None:
        await PeopleRepository(tx).set_password(user_id, password_hash)
        # What the old password, or somebody who read old mail, has begun must not be finished.
        await self._one_time.drop(tx, user_id, ["reset_password", "second_factor", "change_email"])

    def _notice(self, user: Record) -> Mail:
        return self._texts.write("password_changed", to=user.email, name=user.name, locale=user.locale)
