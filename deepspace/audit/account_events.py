"""Events of accounts as audit rows. They are a person's, not an organisation's: no tenant sees them."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from deepspace.audit.repository import append_account_event
from deepspace.kit.db import Transaction
from deepspace.kit.log import trace_id_var


class AuditedAccountEvents:
    """Keeps events such as `account.signed_in` in the audit log, in the transaction of what they tell of."""

    async def append(
        self, tx: Transaction, event: str, user_id: UUID, detail: Mapping[str, str] | None = None
    ) -> None:
        """Append a row; the user is the actor."""
        await append_account_event(tx, event, user_id, trace_id_var.get(), dict(detail or {}))
