"""Tables of what stands inside an organisation: its own roles, teams, project members, invitations."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from deepspace.kit.db import Table

Moment = DateTime(timezone=True)


class OrgRole(Table):
    """A role of the organisation's own, made from the permission vocabulary."""

    __tablename__ = "roles"
    __table_args__ = (UniqueConstraint("org_id", "id"), UniqueConstraint("org_id", "name"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    permissions: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class Team(Table):
    """A team of an organisation."""

    __tablename__ = "teams"
    __table_args__ = (UniqueConstraint("org_id", "id"), UniqueConstraint("org_id", "name"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class TeamMember(Table):
    """A member's place in a team; it ends with the membership in the organisation."""

    __tablename__ = "team_members"
    __table_args__ = (
        ForeignKeyConstraint(["org_id", "team_id"], ["teams.org_id", "teams.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["org_id", "user_id"], ["org_members.org_id", "org_members.user_id"], ondelete="CASCADE"
        ),
    )

    org_id: Mapped[UUID] = mapped_column()
    team_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class ProjectMember(Table):
    """What a member, or a whole team, is in one project."""

    __tablename__ = "project_members"
    __table_args__ = (
        UniqueConstraint("project_id", "user_id"),
        UniqueConstraint("project_id", "team_id"),
        CheckConstraint("num_nonnulls(user_id, team_id) = 1", name="subject"),
        CheckConstraint("role IN ('manager', 'member', 'viewer')", name="role"),
        ForeignKeyConstraint(
            ["org_id", "project_id"], ["projects.org_id", "projects.id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["org_id", "user_id"], ["org_members.org_id", "org_members.user_id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["org_id", "team_id"], ["teams.org_id", "teams.id"], ondelete="CASCADE"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column()
    project_id: Mapped[UUID] = mapped_column()
    user_id: Mapped[UUID | None] = mapped_column(index=True)
    team_id: Mapped[UUID | None] = mapped_column(index=True)
    role: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())


class Invitation(Table):
    """A way into an organisation for one person, once, until it expires. The token is kept as an HMAC."""

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("token_hmac"),
        CheckConstraint("role IN ('admin', 'member', 'guest', 'custom')", name="role"),
        CheckConstraint("(role = 'custom') = (role_id IS NOT NULL)", name="custom"),
        CheckConstraint("(project_id IS NULL) = (project_role IS NULL)", name="project"),
        CheckConstraint("project_role IN ('manager', 'member', 'viewer')", name="project_role"),
        ForeignKeyConstraint(["org_id", "role_id"], ["roles.org_id", "roles.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["org_id", "team_id"], ["teams.org_id", "teams.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(
            ["org_id", "project_id"], ["projects.org_id", "projects.id"], ondelete="CASCADE"
        ),
        Index("ix_invitations_org_id_created_at", "org_id", "created_at", "id"),
        Index("ix_invitations_org_id_role_id", "org_id", "role_id"),
        Index("ix_invitations_org_id_team_id", "org_id", "team_id"),
        Index("ix_invitations_org_id_project_id", "org_id", "project_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    token_hmac: Mapped[bytes] = mapped_column(LargeBinary)
    email: Mapped[str | None] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text)
    role_id: Mapped[UUID | None] = mapped_column()
    team_id: Mapped[UUID | None] = mapped_column()
    project_id: Mapped[UUID | None] = mapped_column()
    project_role: Mapped[str | None] = mapped_column(Text)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(Moment)
    accepted_at: Mapped[datetime | None] = mapped_column(Moment)
    accepted_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)
