"""What a channel's model is for: chat, embeddings, or something else."""

from __future__ import annotations

from alembic import op

revision = "2026_11_21_1110"
down_revision = "2026_11_21_1100"

STATEMENTS = (
    "ALTER TABLE channel_models ADD COLUMN purpose TEXT DEFAULT 'chat' NOT NULL"
    " CONSTRAINT ck_channel_models_purpose CHECK (purpose IN ('chat', 'embeddings', 'other'))",
)
UNDO = ("ALTER TABLE channel_models DROP COLUMN purpose",)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in UNDO:
        op.execute(statement)
