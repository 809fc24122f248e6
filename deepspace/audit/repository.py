"""Every SQL statement of the audit slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import insert, select

from deepspace.audit.entry import AuditEntry
from deepspace.audit.models import AuditLog
from deepspace.audit.ownerless import given_back_journal
from deepspace.kit.bulk import BulkInsert
from deepspace.kit.db import Record, Transaction
from deepspace.kit.ids import uuid7

_APPEND = BulkInsert(
    "audit_logs",
    {
        "id": "uuid",
        "org_id": "uuid",
        "event": "text",
        "trace_id": "text",
        "actor_kind": "text",
        "actor_id": "uuid",
        "detail": "jsonb",
    },
)


class AuditJournal:
    """Appends rows on the ledger's own connection, inside its transaction: both commit, or neither."""

    async def append(self, connection: Any, rows: Sequence[AuditEntry]) -> None:
        """Insert rows; nothing to do for none."""
        await _APPEND.run(
            connection,
            [
                (row.id, row.org_id, row.event, row.trace_id, row.actor_kind, row.actor_id, row.detail)
                for row in rows
            ],
        )

    def given_back(self, hold: Any) -> Sequence[AuditEntry]:
        """Return the row of a hold that the ledger gives back by itself; see Journal.given_back."""
        return given_back_journal(hold)

    def encode(self, row: AuditEntry) -> str:
        """Return a row as one line of JSON, for the ledger's spool."""
        return msgspec.json.encode(row).decode()

    def decode(self, text: str) -> AuditEntry:
        """Return the row that `encode` wrote."""
        return msgspec.json.decode(text, type=AuditEntry)


class AuditRepository:
    """The audit log of one organisation."""

    def __init__(self, tx: Transaction, org_id: UUID) -> None:
        """Run on the caller's transaction, for one tenant."""
        self._tx = tx
        self._org_id = org_id

    async def of_trace(self, trace_id: str) -> Sequence[Record]:
        """Return the rows of a trace, newest first."""
        query = (
            select(AuditLog.__table__)
            .where(AuditLog.org_id == self._org_id, AuditLog.trace_id == trace_id)
            .order_by(AuditLog.created_at.desc(), AuditLog.id.desc())
        )
        return (await self._tx.execute(query)).all()


async def orgs_of_trace(tx: Transaction, trace_id: str) -> Sequence[UUID]:
    """Return the organisations with rows of a trace: for operators, who look across tenants."""
    query = (
        select(AuditLog.org_id).where(AuditLog.trace_id == trace_id, AuditLog.org_id.is_not(None)).distinct()
    )
    return [org_id for org_id in (await tx.execute(query)).scalars() if org_id is not None]


async def append_event(
    tx: Transaction,
    event: str,
    *,
    org_id: UUID | None,
    actor_id: UUID | None,
    trace_id: str | None,
    detail: Mapping[str, Any],
) -> None:
    """Insert a row. Without an organisation no tenant sees it; without an actor the platform acted."""
    await tx.execute(
        insert(AuditLog).values(
            id=uuid7(),
            org_id=org_id,
            event=event,
            trace_id=trace_id,
            actor_kind="user" if actor_id is not None else "system",
            actor_id=actor_id,
            detail=detail,
        )
    )
