"""Tables of the policy slice. A row without an organisation is the operators' and binds everybody."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, Text, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from deepspace.kit.db import Table

Moment = DateTime(timezone=True)


class RateLimit(Table):
    """How fast a subject may call. Neither `subject_id` nor `model`: every subject of that kind, each."""

    __tablename__ = "rate_limits"
    __table_args__ = (
        UniqueConstraint("org_id", "subject", "subject_id", "model", postgresql_nulls_not_distinct=True),
        CheckConstraint("subject IN ('api_key', 'user', 'project', 'organization', 'model')", name="subject"),
        CheckConstraint(
            "CASE subject WHEN 'model' THEN subject_id IS NULL ELSE model IS NULL END", name="one_subject"
        ),
        CheckConstraint("num_nonnulls(rpm, tpm, parallel) > 0", name="limits_something"),
        CheckConstraint("rpm > 0 AND tpm > 0 AND parallel > 0", name="positive"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID | None] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    subject: Mapped[str] = mapped_column(Text)
    subject_id: Mapped[UUID | None] = mapped_column()
    model: Mapped[str | None] = mapped_column(Text)
    rpm: Mapped[int | None] = mapped_column()
    tpm: Mapped[int | None] = mapped_column()
    parallel: Mapped[int | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class PolicyRule(Table):
    """What may be asked, from where, and when. `condition` is what rules.py reads, by `kind`."""

    __tablename__ = "policy_rules"
    __table_args__ = (
        CheckConstraint("kind IN ('model', 'ip', 'time', 'guardrail')", name="kind"),
        CheckConstraint("effect IN ('allow', 'deny')", name="effect"),
        CheckConstraint("mode IN ('enforce', 'dry_run')", name="mode"),
        Index("ix_policy_rules_org_id_created_at", "org_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID | None] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    effect: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    condition: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
