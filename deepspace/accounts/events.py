"""What happens to accounts, told to whoever keeps a record of it. Accounts lie below the audit slice, so
wiring hands the record in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

from deepspace.kit.db import Transaction


class AccountEvents(Protocol):
    """Takes events such as `account.signed_in`."""

    async def append(
        self, tx: Transaction, event: str, user_id: UUID, detail: Mapping[str, str] | None = None
    ) -> None:
        """Keep an event in the transaction of what it tells of: both commit, or neither. `detail` never
        holds a secret."""
        ...


class OrganizationEvents(Protocol):
    """Takes events such as `member.role_changed`: what people do to an organisation and those in it."""

    async def append(
        self, tx: Transaction, event: str, org_id: UUID | None, actor_id: UUID | None, **detail: object
    ) -> None:
        """Keep an event in the transaction of what it tells of: both commit, or neither.

        `org_id` is None for what operators set for everybody, `actor_id` for what the platform does itself.
        `detail` says what was acted on, in words and ids; it never holds a secret.
        """
        ...
