"""Indexes behind foreign keys of accounts: what a deletion looks for."""

from __future__ import annotations

from alembic import op

revision = "2026_11_21_1080"
down_revision = "2026_11_21_1070"

INDEXES = (
    ("ix_api_keys_created_by", "api_keys (created_by)"),
    ("ix_api_keys_org_id_project_id", "api_keys (org_id, project_id)"),
    ("ix_org_members_org_id_role_id", "org_members (org_id, role_id)"),
    ("ix_invitations_org_id_role_id", "invitations (org_id, role_id)"),
    ("ix_invitations_org_id_team_id", "invitations (org_id, team_id)"),
    ("ix_invitations_org_id_project_id", "invitations (org_id, project_id)"),
)


def upgrade() -> None:
    """Apply."""
    for name, columns in INDEXES:
        op.execute(f"CREATE INDEX {name} ON {columns}")


def downgrade() -> None:
    """Take back."""
    for name, _ in INDEXES:
        op.execute(f"DROP INDEX {name}")
