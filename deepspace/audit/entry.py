"""An audit row before it is written."""

from __future__ import annotations

from uuid import UUID

import msgspec


class AuditEntry(msgspec.Struct, frozen=True):
    """One event. `detail` is JSON, already encoded: the writer does not look inside."""

    id: UUID
    org_id: UUID | None
    event: str
    trace_id: str | None
    actor_kind: str
    actor_id: UUID | None
    detail: str
