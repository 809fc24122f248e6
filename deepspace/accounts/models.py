"""Tables of the accounts slice."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from deepspace.kit.db import Table

Moment = DateTime(timezone=True)


class User(Table):
    """A person."""

    __tablename__ = "users"
    __table_args__ = (
        Index("uq_users_email_lower", text("lower(email)"), unique=True),
        CheckConstraint("status IN ('active', 'disabled')", name="status"),
        CheckConstraint("locale IN ('en-US', 'zh-CN')", name="locale"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    email_verified_at: Mapped[datetime | None] = mapped_column(Moment)
    locale: Mapped[str] = mapped_column(Text, server_default="en-US")
    password_hash: Mapped[str | None] = mapped_column(Text)
    is_operator: Mapped[bool] = mapped_column(server_default=text("false"))
    status: Mapped[str] = mapped_column(Text, server_default="active")
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class Org(Table):
    """An organisation: the tenant."""

    __tablename__ = "orgs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    deleted_at: Mapped[datetime | None] = mapped_column(Moment)


class OrgMember(Table):
    """A user's place in an organisation: a built-in role, or one of the organisation's own by `role_id`."""

    __tablename__ = "org_members"
    __table_args__ = (
        CheckConstraint("role IN ('owner', 'admin', 'member', 'guest', 'custom')", name="role"),
        CheckConstraint("(role = 'custom') = (role_id IS NOT NULL)", name="custom"),
        ForeignKeyConstraint(["org_id", "role_id"], ["roles.org_id", "roles.id"]),
        Index("ix_org_members_org_id_role_id", "org_id", "role_id"),
    )

    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(Text)
    role_id: Mapped[UUID | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class Project(Table):
    """A project of an organisation, open to all of it or to the project's members only."""

    __tablename__ = "projects"
    __table_args__ = (
        UniqueConstraint("org_id", "id"),
        CheckConstraint("access IN ('organization', 'members')", name="access"),
        Index("uq_projects_default", "org_id", unique=True, postgresql_where=text("is_default")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    access: Mapped[str] = mapped_column(Text, server_default="organization")
    is_default: Mapped[bool] = mapped_column(server_default=text("false"))
    archived_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class ApiKey(Table):
    """An API key: its public id and the HMAC of its whole text, and those of the text before a rotation."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("org_id", "id"),
        UniqueConstraint("key_id"),
        UniqueConstraint("previous_key_id"),
        ForeignKeyConstraint(
            ["org_id", "project_id"], ["projects.org_id", "projects.id"], ondelete="CASCADE"
        ),
        Index("ix_api_keys_org_id_created_at", "org_id", "created_at", "id"),
        Index("ix_api_keys_created_by", "created_by"),
        Index("ix_api_keys_org_id_project_id", "org_id", "project_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    project_id: Mapped[UUID] = mapped_column()
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    secret_hmac: Mapped[bytes] = mapped_column(LargeBinary)
    hint: Mapped[str] = mapped_column(Text)
    scopes: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    allowed_ips: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'::text[]"))
    last_used_at: Mapped[datetime | None] = mapped_column(Moment)
    previous_key_id: Mapped[str | None] = mapped_column(Text)
    previous_hmac: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_expires_at: Mapped[datetime | None] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class Session(Table):
    """A sign-in. `generation` counts its refresh tokens; only the newest is good."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    generation: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    user_agent: Mapped[str] = mapped_column(Text, server_default="")
    ip: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    refreshed_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(Moment)
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
    revoked_reason: Mapped[str | None] = mapped_column(Text)
