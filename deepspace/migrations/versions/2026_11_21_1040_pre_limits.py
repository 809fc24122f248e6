"""Rate limits and policies."""

from __future__ import annotations

from alembic import op

from deepspace.migrations.tenancy import protect

revision = "2026_11_21_1040"
down_revision = "2026_11_21_1030"

STATEMENTS = (
    """
    CREATE TABLE rate_limits (
        id UUID NOT NULL,
        org_id UUID,
        subject TEXT NOT NULL,
        subject_id UUID,
        model TEXT,
        rpm INTEGER,
        tpm INTEGER,
        parallel INTEGER,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_rate_limits PRIMARY KEY (id),
        CONSTRAINT uq_rate_limits_org_id_subject_subject_id_model
            UNIQUE NULLS NOT DISTINCT (org_id, subject, subject_id, model),
        CONSTRAINT fk_rate_limits_org_id_orgs FOREIGN KEY (org_id) REFERENCES orgs (id) ON DELETE CASCADE,
        CONSTRAINT ck_rate_limits_subject
            CHECK (subject IN ('api_key', 'user', 'project', 'organization', 'model')),
        CONSTRAINT ck_rate_limits_one_subject
            CHECK (CASE subject WHEN 'model' THEN subject_id IS NULL ELSE model IS NULL END),
        CONSTRAINT ck_rate_limits_limits_something CHECK (num_nonnulls(rpm, tpm, parallel) > 0),
        CONSTRAINT ck_rate_limits_positive CHECK (rpm > 0 AND tpm > 0 AND parallel > 0)
    )
    """,
    *protect("rate_limits"),
    """
    CREATE TABLE policy_rules (
        id UUID NOT NULL,
        org_id UUID,
        kind TEXT NOT NULL,
        effect TEXT NOT NULL,
        mode TEXT NOT NULL,
        note TEXT NOT NULL,
        condition JSONB NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_policy_rules PRIMARY KEY (id),
        CONSTRAINT fk_policy_rules_org_id_orgs FOREIGN KEY (org_id) REFERENCES orgs (id) ON DELETE CASCADE,
        CONSTRAINT ck_policy_rules_kind CHECK (kind IN ('model', 'ip', 'time')),
        CONSTRAINT ck_policy_rules_effect CHECK (effect IN ('allow', 'deny')),
        CONSTRAINT ck_policy_rules_mode CHECK (mode IN ('enforce', 'dry_run'))
    )
    """,
    "CREATE INDEX ix_policy_rules_org_id_created_at ON policy_rules (org_id, created_at, id)",
    *protect("policy_rules"),
)
UNDO = ("DROP TABLE policy_rules", "DROP TABLE rate_limits")


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in UNDO:
        op.execute(statement)
