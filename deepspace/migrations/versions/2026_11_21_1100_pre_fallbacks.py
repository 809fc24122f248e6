"""Models that may stand in for others; guardrails among the rules; proxies of channels."""

from __future__ import annotations

from alembic import op

from deepspace.migrations.tenancy import keep_from_tenants

revision = "2026_11_21_1100"
down_revision = "2026_11_21_1090"

STATEMENTS = (
    """
    CREATE TABLE model_fallbacks (
        model TEXT NOT NULL,
        if_unavailable TEXT[] DEFAULT '{}' NOT NULL,
        if_too_long TEXT[] DEFAULT '{}' NOT NULL,
        changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_model_fallbacks PRIMARY KEY (model)
    )
    """,
    keep_from_tenants("model_fallbacks"),
    "ALTER TABLE policy_rules DROP CONSTRAINT ck_policy_rules_kind",
    "ALTER TABLE policy_rules ADD CONSTRAINT ck_policy_rules_kind"
    " CHECK (kind IN ('model', 'ip', 'time', 'guardrail'))",
    "ALTER TABLE channels ADD COLUMN sealed_proxy BYTEA",
)
UNDO = (
    "ALTER TABLE channels DROP COLUMN sealed_proxy",
    "DELETE FROM policy_rules WHERE kind = 'guardrail'",
    "ALTER TABLE policy_rules DROP CONSTRAINT ck_policy_rules_kind",
    "ALTER TABLE policy_rules ADD CONSTRAINT ck_policy_rules_kind CHECK (kind IN ('model', 'ip', 'time'))",
    "DROP TABLE model_fallbacks",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in UNDO:
        op.execute(statement)
