"""The audit log. Rows are only ever inserted."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Index, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from deepspace.kit.db import Table


class AuditLog(Table):
    """One event: what, by whom, in which trace, with the details a person needs to understand it."""

    __tablename__ = "audit_logs"
    __table_args__ = (
        Index("ix_audit_logs_trace_id", "trace_id"),
        Index("ix_audit_logs_org_id_created_at", "org_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    event: Mapped[str] = mapped_column(Text)
    trace_id: Mapped[str | None] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[UUID | None] = mapped_column()
    detail: Mapped[dict[str, Any]] = mapped_column(JSONB)
