"""First tables: accounts, upstream, billing, audit."""

from __future__ import annotations

from alembic import op

revision = "2026_11_21_0700"
down_revision = None

STATEMENTS = (
    "CREATE EXTENSION IF NOT EXISTS btree_gist",
    """
    CREATE TABLE audit_logs (
        id UUID NOT NULL,
        org_id UUID,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        event TEXT NOT NULL,
        trace_id TEXT,
        actor_kind TEXT NOT NULL,
        actor_id UUID,
        detail JSONB NOT NULL,
        CONSTRAINT pk_audit_logs PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_audit_logs_org_id_created_at ON audit_logs (org_id, created_at, id)",
    "CREATE INDEX ix_audit_logs_org_id_trace_id ON audit_logs (org_id, trace_id)",
    """
    CREATE TABLE channels (
        id UUID NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        base_url TEXT NOT NULL,
        sealed_key BYTEA,
        priority INTEGER DEFAULT 0 NOT NULL,
        weight INTEGER DEFAULT 1 NOT NULL,
        timeouts JSONB DEFAULT '{}'::jsonb NOT NULL,
        on_disconnect TEXT DEFAULT 'drain' NOT NULL,
        status TEXT DEFAULT 'enabled' NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_channels PRIMARY KEY (id),
        CONSTRAINT uq_channels_name UNIQUE (name),
        CONSTRAINT ck_channels_kind CHECK (kind IN ('newapi', 'openai', 'anthropic', 'local')),
        CONSTRAINT ck_channels_status CHECK (status IN ('enabled', 'disabled')),
        CONSTRAINT ck_channels_on_disconnect CHECK (on_disconnect IN ('drain', 'cancel'))
    )
    """,
    """
    CREATE TABLE orgs (
        id UUID NOT NULL,
        name TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_orgs PRIMARY KEY (id)
    )
    """,
    """
    CREATE TABLE prices (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        model TEXT NOT NULL,
        currency TEXT NOT NULL,
        valid TSTZRANGE NOT NULL,
        rates JSONB NOT NULL,
        per_call_nano BIGINT DEFAULT 0 NOT NULL,
        tiers JSONB DEFAULT '[]'::jsonb NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        created_by UUID,
        CONSTRAINT pk_prices PRIMARY KEY (id),
        CONSTRAINT ex_prices_model_valid EXCLUDE USING gist (model WITH =, valid WITH &&),
        CONSTRAINT ck_prices_per_call CHECK (per_call_nano >= 0)
    )
    """,
    """
    CREATE TABLE users (
        id UUID NOT NULL,
        email TEXT NOT NULL,
        name TEXT NOT NULL,
        password_hash TEXT,
        is_operator BOOLEAN DEFAULT false NOT NULL,
        status TEXT DEFAULT 'active' NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_users PRIMARY KEY (id),
        CONSTRAINT ck_users_status CHECK (status IN ('active', 'disabled'))
    )
    """,
    "CREATE UNIQUE INDEX uq_users_email_lower ON users (lower(email))",
    """
    CREATE TABLE channel_models (
        channel_id UUID NOT NULL,
        model TEXT NOT NULL,
        upstream_model TEXT NOT NULL,
        context_length INTEGER,
        max_output_tokens INTEGER,
        CONSTRAINT pk_channel_models PRIMARY KEY (channel_id, model),
        CONSTRAINT fk_channel_models_channel_id_channels FOREIGN KEY(channel_id) REFERENCES channels (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_channel_models_model ON channel_models (model)",
    """
    CREATE TABLE org_members (
        org_id UUID NOT NULL,
        user_id UUID NOT NULL,
        role TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_org_members PRIMARY KEY (org_id, user_id),
        CONSTRAINT ck_org_members_role CHECK (role IN ('owner', 'admin', 'member', 'guest')),
        CONSTRAINT fk_org_members_org_id_orgs FOREIGN KEY(org_id) REFERENCES orgs (id) ON DELETE CASCADE,
        CONSTRAINT fk_org_members_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_org_members_user_id ON org_members (user_id)",
    """
    CREATE TABLE projects (
        id UUID NOT NULL,
        org_id UUID NOT NULL,
        name TEXT NOT NULL,
        archived_at TIMESTAMP WITH TIME ZONE,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_projects PRIMARY KEY (id),
        CONSTRAINT uq_projects_org_id_id UNIQUE (org_id, id),
        CONSTRAINT fk_projects_org_id_orgs FOREIGN KEY(org_id) REFERENCES orgs (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE sessions (
        id UUID NOT NULL,
        user_id UUID NOT NULL,
        generation INTEGER DEFAULT 1 NOT NULL,
        user_agent TEXT DEFAULT '' NOT NULL,
        ip TEXT DEFAULT '' NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        refreshed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        revoked_at TIMESTAMP WITH TIME ZONE,
        revoked_reason TEXT,
        CONSTRAINT pk_sessions PRIMARY KEY (id),
        CONSTRAINT fk_sessions_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_sessions_user_id ON sessions (user_id)",
    """
    CREATE TABLE wallets (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        org_id UUID NOT NULL,
        currency TEXT NOT NULL,
        balance_nano BIGINT DEFAULT 0 NOT NULL,
        frozen_nano BIGINT DEFAULT 0 NOT NULL,
        credit_limit_nano BIGINT DEFAULT 0 NOT NULL,
        state TEXT DEFAULT 'active' NOT NULL,
        version BIGINT DEFAULT 0 NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_wallets PRIMARY KEY (id),
        CONSTRAINT uq_wallets_org_id UNIQUE (org_id),
        CONSTRAINT ck_wallets_frozen CHECK (frozen_nano >= 0),
        CONSTRAINT ck_wallets_credit_limit CHECK (credit_limit_nano >= 0),
        CONSTRAINT ck_wallets_available CHECK (balance_nano - frozen_nano + credit_limit_nano >= 0),
        CONSTRAINT ck_wallets_state CHECK (state IN ('active', 'frozen')),
        CONSTRAINT fk_wallets_org_id_orgs FOREIGN KEY(org_id) REFERENCES orgs (id)
    )
     WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE api_keys (
        id UUID NOT NULL,
        org_id UUID NOT NULL,
        project_id UUID NOT NULL,
        created_by UUID,
        name TEXT NOT NULL,
        key_id TEXT NOT NULL,
        secret_hmac BYTEA NOT NULL,
        hint TEXT NOT NULL,
        scopes JSONB DEFAULT '{}'::jsonb NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE,
        revoked_at TIMESTAMP WITH TIME ZONE,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_api_keys PRIMARY KEY (id),
        CONSTRAINT uq_api_keys_org_id_id UNIQUE (org_id, id),
        CONSTRAINT uq_api_keys_key_id UNIQUE (key_id),
        CONSTRAINT fk_api_keys_org_id_project_id_projects FOREIGN KEY(org_id, project_id) REFERENCES projects (org_id, id) ON DELETE CASCADE,
        CONSTRAINT fk_api_keys_org_id_orgs FOREIGN KEY(org_id) REFERENCES orgs (id) ON DELETE CASCADE,
        CONSTRAINT fk_api_keys_created_by_users FOREIGN KEY(created_by) REFERENCES users (id) ON DELETE SET NULL
    )
    """,
    "CREATE INDEX ix_api_keys_org_id_created_at ON api_keys (org_id, created_at, id)",
    """
    CREATE TABLE holds (
        id UUID NOT NULL,
        org_id UUID NOT NULL,
        wallet_id BIGINT NOT NULL,
        project_id UUID,
        user_id UUID,
        api_key_id UUID,
        billing_ref_id TEXT NOT NULL,
        trace_id TEXT NOT NULL,
        request_hash BYTEA NOT NULL,
        model TEXT NOT NULL,
        price_id BIGINT NOT NULL,
        amount_nano BIGINT NOT NULL,
        captured_nano BIGINT DEFAULT 0 NOT NULL,
        refunded_nano BIGINT DEFAULT 0 NOT NULL,
        state TEXT DEFAULT 'held' NOT NULL,
        boot_id UUID NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        upstream_request_id TEXT,
        progress_output_tokens BIGINT DEFAULT 0 NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        settled_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_holds PRIMARY KEY (id),
        CONSTRAINT uq_holds_org_id_billing_ref_id UNIQUE (org_id, billing_ref_id),
        CONSTRAINT ck_holds_amount CHECK (amount_nano >= 0),
        CONSTRAINT ck_holds_refunded CHECK (refunded_nano BETWEEN 0 AND captured_nano),
        CONSTRAINT ck_holds_captured CHECK (state = 'captured' OR captured_nano = 0),
        CONSTRAINT ck_holds_state CHECK (state IN ('held', 'captured', 'released', 'expired')),
        CONSTRAINT fk_holds_wallet_id_wallets FOREIGN KEY(wallet_id) REFERENCES wallets (id),
        CONSTRAINT fk_holds_price_id_prices FOREIGN KEY(price_id) REFERENCES prices (id)
    )
     WITH (fillfactor = 70)
    """,
    "CREATE INDEX ix_holds_open ON holds (expires_at) WHERE state = 'held'",
    "CREATE INDEX ix_holds_org_id_created_at ON holds (org_id, created_at, id)",
    "CREATE INDEX ix_holds_trace_id ON holds (trace_id)",
    """
    CREATE TABLE transactions (
        id UUID NOT NULL,
        org_id UUID NOT NULL,
        debit_account BIGINT NOT NULL,
        credit_account BIGINT NOT NULL,
        amount_nano BIGINT NOT NULL,
        type TEXT NOT NULL,
        hold_id UUID,
        ref TEXT NOT NULL,
        reason TEXT DEFAULT '' NOT NULL,
        actor_id UUID,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_transactions PRIMARY KEY (id),
        CONSTRAINT ck_transactions_amount CHECK (amount_nano > 0),
        CONSTRAINT ck_transactions_accounts CHECK (debit_account <> credit_account),
        CONSTRAINT ck_transactions_type CHECK (type IN ('topup', 'capture', 'refund', 'absorb', 'adjust')),
        CONSTRAINT uq_transactions_type_ref UNIQUE (type, ref),
        CONSTRAINT fk_transactions_hold_id_holds FOREIGN KEY(hold_id) REFERENCES holds (id)
    )
    """,
    "CREATE INDEX ix_transactions_hold_id ON transactions (hold_id)",
    "CREATE INDEX ix_transactions_org_id_created_at ON transactions (org_id, created_at, id)",
    """
    CREATE TABLE usage_records (
        hold_id UUID NOT NULL,
        org_id UUID NOT NULL,
        trace_id TEXT NOT NULL,
        model TEXT NOT NULL,
        channel_id UUID,
        price_id BIGINT NOT NULL,
        input_tokens BIGINT DEFAULT 0 NOT NULL,
        cached_input_tokens BIGINT DEFAULT 0 NOT NULL,
        cache_write_tokens BIGINT DEFAULT 0 NOT NULL,
        output_tokens BIGINT DEFAULT 0 NOT NULL,
        reasoning_tokens BIGINT DEFAULT 0 NOT NULL,
        other_tokens JSONB,
        cost_nano BIGINT NOT NULL,
        source TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_usage_records PRIMARY KEY (hold_id),
        CONSTRAINT ck_usage_records_source CHECK (source IN ('reported', 'estimated', 'checkpoint')),
        CONSTRAINT ck_usage_records_cost CHECK (cost_nano >= 0),
        CONSTRAINT fk_usage_records_hold_id_holds FOREIGN KEY(hold_id) REFERENCES holds (id),
        CONSTRAINT fk_usage_records_price_id_prices FOREIGN KEY(price_id) REFERENCES prices (id)
    )
    """,
    "CREATE INDEX ix_usage_records_org_id_created_at ON usage_records (org_id, created_at)",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    op.execute(
        "DROP TABLE usage_records, transactions, holds, api_keys, wallets, sessions, projects, org_members, channel_models, users, prices, orgs, channels, audit_logs"
    )
