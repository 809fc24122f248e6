"""What the ledger writer needs: budgets, progress of a call, stored answers, references that can be retried."""

from __future__ import annotations

from alembic import op

revision = "2026_11_21_0800"
down_revision = "2026_11_21_0700"

STATEMENTS = (
    "ALTER TABLE holds DROP CONSTRAINT uq_holds_org_id_billing_ref_id",
    """
    CREATE UNIQUE INDEX uq_holds_org_id_billing_ref_id ON holds (org_id, billing_ref_id)
    WHERE state IN ('held', 'captured')
    """,
    """
    ALTER TABLE holds
        ADD COLUMN channel_id UUID,
        ADD COLUMN estimated_input_tokens BIGINT DEFAULT 0 NOT NULL,
        ADD COLUMN counter_ids BIGINT[] DEFAULT '{}'::bigint[] NOT NULL
    """,
    """
    CREATE TABLE budgets (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        org_id UUID NOT NULL,
        scope TEXT NOT NULL,
        scope_id UUID NOT NULL,
        period TEXT NOT NULL,
        limit_nano BIGINT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_budgets PRIMARY KEY (id),
        CONSTRAINT ck_budgets_scope CHECK (scope IN ('organization', 'project', 'user', 'api_key', 'run')),
        CONSTRAINT ck_budgets_period CHECK (period IN ('day', 'month', 'total')),
        CONSTRAINT ck_budgets_limit CHECK (limit_nano >= 0),
        CONSTRAINT uq_budgets_org_id_scope_scope_id_period UNIQUE (org_id, scope, scope_id, period),
        CONSTRAINT fk_budgets_org_id_orgs FOREIGN KEY(org_id) REFERENCES orgs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE budget_counters (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        org_id UUID NOT NULL,
        budget_id BIGINT NOT NULL,
        period_start DATE NOT NULL,
        held_nano BIGINT DEFAULT 0 NOT NULL,
        spent_nano BIGINT DEFAULT 0 NOT NULL,
        CONSTRAINT pk_budget_counters PRIMARY KEY (id),
        CONSTRAINT uq_budget_counters_budget_id_period_start UNIQUE (budget_id, period_start),
        CONSTRAINT ck_budget_counters_held CHECK (held_nano >= 0),
        CONSTRAINT ck_budget_counters_spent CHECK (spent_nano >= 0),
        CONSTRAINT fk_budget_counters_budget_id_budgets FOREIGN KEY(budget_id)
            REFERENCES budgets (id) ON DELETE CASCADE
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE call_answers (
        hold_id UUID NOT NULL,
        org_id UUID NOT NULL,
        status BIGINT NOT NULL,
        content_type TEXT NOT NULL,
        body BYTEA NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_call_answers PRIMARY KEY (hold_id)
    )
    """,
    "CREATE INDEX ix_call_answers_created_at ON call_answers (created_at)",
    # Each index and each foreign key of the hot tables is paid on every call: keep what is used.
    "ALTER TABLE holds DROP CONSTRAINT fk_holds_wallet_id_wallets",
    "ALTER TABLE holds DROP CONSTRAINT fk_holds_price_id_prices",
    "ALTER TABLE transactions DROP CONSTRAINT fk_transactions_hold_id_holds",
    "ALTER TABLE usage_records DROP CONSTRAINT fk_usage_records_hold_id_holds",
    "ALTER TABLE usage_records DROP CONSTRAINT fk_usage_records_price_id_prices",
    "DROP INDEX ix_holds_open, ix_holds_trace_id, ix_holds_org_id_created_at, ix_transactions_hold_id",
    "DROP INDEX ix_audit_logs_org_id_trace_id",
    "CREATE INDEX ix_holds_open ON holds (org_id, trace_id) WHERE state = 'held'",
    "CREATE INDEX ix_holds_ended ON holds (org_id, settled_at) WHERE state IN ('released', 'expired')",
    "CREATE INDEX ix_transactions_refunds ON transactions (hold_id) WHERE type = 'refund'",
    "CREATE INDEX ix_audit_logs_trace_id ON audit_logs (trace_id)",
)

OLD_CONSTRAINTS = (
    "DROP INDEX ix_holds_open, ix_holds_ended, ix_transactions_refunds, ix_audit_logs_trace_id",
    "CREATE INDEX ix_holds_open ON holds (expires_at) WHERE state = 'held'",
    "CREATE INDEX ix_holds_trace_id ON holds (trace_id)",
    "CREATE INDEX ix_holds_org_id_created_at ON holds (org_id, created_at, id)",
    "CREATE INDEX ix_transactions_hold_id ON transactions (hold_id)",
    "CREATE INDEX ix_audit_logs_org_id_trace_id ON audit_logs (org_id, trace_id)",
    "ALTER TABLE holds ADD CONSTRAINT fk_holds_wallet_id_wallets FOREIGN KEY (wallet_id) REFERENCES wallets",
    "ALTER TABLE holds ADD CONSTRAINT fk_holds_price_id_prices FOREIGN KEY (price_id) REFERENCES prices",
    "ALTER TABLE transactions ADD CONSTRAINT fk_transactions_hold_id_holds FOREIGN KEY (hold_id) REFERENCES holds",
    "ALTER TABLE usage_records ADD CONSTRAINT fk_usage_records_hold_id_holds FOREIGN KEY (hold_id) REFERENCES holds",
    "ALTER TABLE usage_records ADD CONSTRAINT fk_usage_records_price_id_prices FOREIGN KEY (price_id) REFERENCES prices",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back. Fails, and changes nothing, if a reference has been used more than once."""
    op.execute("DROP TABLE call_answers, budget_counters, budgets")
    for statement in OLD_CONSTRAINTS:
        op.execute(statement)
    op.execute("DROP INDEX uq_holds_org_id_billing_ref_id")
    op.execute(
        "ALTER TABLE holds ADD CONSTRAINT uq_holds_org_id_billing_ref_id UNIQUE (org_id, billing_ref_id)"
    )
    op.execute(
        "ALTER TABLE holds DROP COLUMN channel_id, DROP COLUMN estimated_input_tokens, DROP COLUMN counter_ids"
    )
