"""Channels: calls at a time, and header fields of their own."""

from __future__ import annotations

from alembic import op

revision = "2026_11_21_1070"
down_revision = "2026_11_21_1050"

STATEMENTS = (
    "ALTER TABLE channels ADD COLUMN max_parallel INTEGER",
    "ALTER TABLE channels ADD CONSTRAINT ck_channels_max_parallel CHECK (max_parallel > 0)",
    "ALTER TABLE channels ADD COLUMN headers JSONB DEFAULT '{}'::jsonb NOT NULL",
)
UNDO = ("ALTER TABLE channels DROP COLUMN headers, DROP COLUMN max_parallel",)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in UNDO:
        op.execute(statement)
