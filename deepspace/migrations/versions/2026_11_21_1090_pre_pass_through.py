"""Channels that take calls at addresses which the gateway does not know."""

from __future__ import annotations

from alembic import op

revision = "2026_11_21_1090"
down_revision = "2026_11_21_1080"

STATEMENTS = ("ALTER TABLE channels ADD COLUMN pass_through BOOLEAN DEFAULT false NOT NULL",)
UNDO = ("ALTER TABLE channels DROP COLUMN pass_through",)


def upgrade() -> None:
    """Apply. A lock that is not had in 3 s, or a statement over 60 s, ends the migration and changes nothing."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    for statement in UNDO:
        op.execute(statement)
