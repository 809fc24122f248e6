"""Provider checks: the books held against what providers say was used."""

from __future__ import annotations

from alembic import op

from deepspace.migrations.tenancy import keep_from_tenants

revision = "2026_11_21_1050"
down_revision = "2026_11_21_1040"

STATEMENTS = (
    "ALTER TABLE channels ADD COLUMN sealed_usage_key BYTEA",
    """
    CREATE TABLE provider_checks (
        id UUID NOT NULL,
        channel_id UUID NOT NULL,
        period_start TIMESTAMP WITH TIME ZONE NOT NULL,
        period_end TIMESTAMP WITH TIME ZONE NOT NULL,
        status TEXT NOT NULL,
        reason TEXT DEFAULT '' NOT NULL,
        ours JSONB NOT NULL,
        theirs JSONB NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_provider_checks PRIMARY KEY (id),
        CONSTRAINT uq_provider_checks_channel_id_period_start_period_end UNIQUE (channel_id, period_start, period_end),
        CONSTRAINT ck_provider_checks_period CHECK (period_start < period_end),
        CONSTRAINT ck_provider_checks_status CHECK (status IN ('equal', 'differs', 'unavailable')),
        CONSTRAINT fk_provider_checks_channel_id_channels FOREIGN KEY(channel_id) REFERENCES channels (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_provider_checks_created_at ON provider_checks (created_at, id)",
    "CREATE INDEX ix_usage_records_created_at_brin ON usage_records USING brin (created_at)",
    keep_from_tenants("provider_checks"),
)

UNDO = (
    "DROP INDEX ix_usage_records_created_at_brin",
    "DROP TABLE provider_checks",
    "ALTER TABLE channels DROP COLUMN sealed_usage_key",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in UNDO:
        op.execute(statement)
