"""A person's own account: name, language, e-mail address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from deepspace.accounts.errors import EmailTaken, LinkInvalid
from deepspace.accounts.events import AccountEvents
from deepspace.accounts.identity_repository import PersonRepository
from deepspace.accounts.mail import Mail
from deepspace.accounts.mail_texts import MailTexts
from deepspace.accounts.one_time import OneTimeTokens
from deepspace.kit.db import Record, Transaction
from deepspace.kit.errors import Conflict


class ProfileService:
    """Changes what a person says about themselves, and proves what must be proved."""

    def __init__(self, one_time: OneTimeTokens, texts: MailTexts, events: AccountEvents) -> None:
        """Take what it works with."""
        self._one_time = one_time
        self._texts = texts
        self._events = events

    async def update(self, tx: Transaction, user_id: UUID, changes: Mapping[str, Any]) -> None:
        """Change name or locale; nothing to do for none."""
        if changes:
            await PersonRepository(tx).update(user_id, **changes)
            await self._events.append(
                tx, "account.profile_changed", user_id, {"fields": " ".join(sorted(changes))}
            )

    async def ask_verification(self, tx: Transaction, user: Record) -> Mail:
        """Return the mail whose link proves the user's address; Conflict if it is proved."""
        if user.email_verified_at is not None:
            raise Conflict("This e-mail address is confirmed already.")
        token = await self._one_time.issue(tx, user.id, "verify_email", email=user.email)
        return self._texts.write(
            "verify_email", to=user.email, name=user.name, locale=user.locale, token=token
        )

    async def ask_change(self, tx: Transaction, user: Record, new_email: str) -> tuple[Mail, Mail]:
        """Return the mail to the new address, whose link makes it the account's, and the notice to the old
        one. Nothing changes before the link is opened; whether the new address is free is not told here."""
        token = await self._one_time.issue(tx, user.id, "change_email", email=new_email)
        await self._events.append(tx, "account.email_change_asked", user.id)
        who = {"name": user.name, "locale": user.locale}
        return (
            self._texts.write("change_email", to=new_email, token=token, **who),
            self._texts.write("email_change_notice", to=user.email, new_email=new_email, **who),
        )

    async def confirm(self, tx: Transaction, token: str) -> None:
        """Take a link from a mail: the address it went to is proved, or becomes the account's.

        LinkInvalid if it is not good (any more); EmailTaken if somebody else has the new address by now.
        """
        row = await self._one_time.redeem(tx, token, "verify_email", "change_email")
        people = PersonRepository(tx)
        user = await people.locked(row.user_id)
        if user is None:
            raise LinkInvalid
        if row.purpose == "change_email":
            if not await people.change_email(user.id, row.email):
                raise EmailTaken
            # Links that went to the old address end with it.
            await self._one_time.drop(tx, user.id, ["reset_password", "verify_email"])
            await self._events.append(tx, "account.email_changed", user.id)
        else:
            if user.email != row.email:
                raise LinkInvalid
            await people.verify_email(user.id)
            await self._events.append(tx, "account.email_verified", user.id)
