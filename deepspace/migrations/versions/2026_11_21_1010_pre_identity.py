"""Sign-in: registration, mail tokens, second factors, single sign-on."""

from __future__ import annotations

from alembic import op

from deepspace.migrations.tenancy import keep_from_tenants

revision = "2026_11_21_1010"
down_revision = "2026_11_21_1000"

TABLES = ("knocks", "one_time_tokens", "totp_secrets", "recovery_codes", "oidc_identities")

STATEMENTS: tuple[str, ...] = (
    """
    ALTER TABLE users
        ADD COLUMN locale TEXT DEFAULT 'en-US' NOT NULL,
        ADD COLUMN email_verified_at TIMESTAMP WITH TIME ZONE,
        ADD CONSTRAINT ck_users_locale CHECK (locale IN ('en-US', 'zh-CN'))
    """,
    # Until now an operator made every account, and vouches for its address.
    "UPDATE users SET email_verified_at = created_at",
    """
    CREATE TABLE knocks (
        key BYTEA NOT NULL,
        count INTEGER DEFAULT 1 NOT NULL,
        last_at TIMESTAMP WITH TIME ZONE NOT NULL,
        wait_until TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_knocks PRIMARY KEY (key)
    )
    """,
    "CREATE INDEX ix_knocks_last_at ON knocks (last_at)",
    """
    CREATE TABLE one_time_tokens (
        id UUID NOT NULL,
        user_id UUID NOT NULL,
        purpose TEXT NOT NULL,
        token_hash BYTEA NOT NULL,
        email TEXT DEFAULT '' NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_one_time_tokens PRIMARY KEY (id),
        CONSTRAINT uq_one_time_tokens_token_hash UNIQUE (token_hash),
        CONSTRAINT ck_one_time_tokens_purpose CHECK (purpose IN ('verify_email', 'change_email', 'reset_password', 'second_factor')),
        CONSTRAINT fk_one_time_tokens_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_one_time_tokens_user_id ON one_time_tokens (user_id)",
    "CREATE INDEX ix_one_time_tokens_expires_at ON one_time_tokens (expires_at)",
    """
    CREATE TABLE totp_secrets (
        user_id UUID NOT NULL,
        sealed_secret BYTEA NOT NULL,
        last_step BIGINT DEFAULT 0 NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        confirmed_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_totp_secrets PRIMARY KEY (user_id),
        CONSTRAINT fk_totp_secrets_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE recovery_codes (
        user_id UUID NOT NULL,
        code_hmac BYTEA NOT NULL,
        CONSTRAINT pk_recovery_codes PRIMARY KEY (user_id, code_hmac),
        CONSTRAINT fk_recovery_codes_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE oidc_identities (
        id UUID NOT NULL,
        user_id UUID NOT NULL,
        provider TEXT NOT NULL,
        issuer TEXT NOT NULL,
        subject TEXT NOT NULL,
        email TEXT DEFAULT '' NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        last_used_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_oidc_identities PRIMARY KEY (id),
        CONSTRAINT uq_oidc_identities_issuer_subject UNIQUE (issuer, subject),
        CONSTRAINT fk_oidc_identities_user_id_users FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
    )
    """,
    "CREATE INDEX ix_oidc_identities_user_id ON oidc_identities (user_id)",
    *(keep_from_tenants(table) for table in TABLES),
)

UNDO: tuple[str, ...] = (
    "DROP TABLE oidc_identities, recovery_codes, totp_secrets, one_time_tokens, knocks",
    "ALTER TABLE users DROP COLUMN locale, DROP COLUMN email_verified_at",
)


def upgrade() -> None:
    """Apply."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Take back."""
    for statement in UNDO:
        op.execute(statement)
