"""Channels that take calls at addresses which the gateway does not know."""

from __future__ import annotations

from alembic import op

revision = "2026_11_21_1090"
down_revision = "2026_11_21_1080"

STATEMENTS = ("ALTER TABLE channels ADD COLUMN pass_through BOOLEAN DEFAULT false NOT NULL",)
UNDO = ("ALTER TABLE channels DROP COLUMN pass_through",)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in UNDO:
        op.execute(statement)
