"""Events of accounts and organisations as audit rows."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from deepspace.audit.repository import append_event
from deepspace.kit.db import Transaction
from deepspace.kit.log import trace_id_var


class AuditedAccountEvents:
    """Keeps events such as `account.signed_in` in the audit log, in the transaction of what they tell of.
    They are a person's, not an organisation's: no tenant sees them."""

    async def append(
        self, tx: Transaction, event: str, user_id: UUID, detail: Mapping[str, str] | None = None
    ) -> None:
        """Append a row; the user is the actor."""
        await append_event(
            tx, event, org_id=None, actor_id=user_id, trace_id=trace_id_var.get(), detail=dict(detail or {})
        )


class AuditedOrganizationEvents:
    """Keeps events such as `member.removed` in the audit log, in the transaction of what they tell of."""

    async def append(
        self, tx: Transaction, event: str, org_id: UUID | None, actor_id: UUID | None, **detail: object
    ) -> None:
        """Append a row. Ids become text; what is None is left out."""
        plain = {
            name: str(value) if isinstance(value, UUID) else value
            for name, value in detail.items()
            if value is not None
        }
        await append_event(
            tx, event, org_id=org_id, actor_id=actor_id, trace_id=trace_id_var.get(), detail=plain
        )
