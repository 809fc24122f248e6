"""Redeem codes."""

from __future__ import annotations

from alembic import op

revision = "2026_11_21_0900"
down_revision = "2026_11_21_0800"


def upgrade() -> None:
    """Apply."""
    op.execute(
        """
        CREATE TABLE redeem_codes (
            id UUID NOT NULL,
            code_hmac BYTEA NOT NULL,
            hint TEXT NOT NULL,
            amount_nano BIGINT NOT NULL,
            note TEXT DEFAULT '' NOT NULL,
            expires_at TIMESTAMP WITH TIME ZONE,
            created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
            created_by UUID,
            redeemed_at TIMESTAMP WITH TIME ZONE,
            redeemed_by UUID,
            CONSTRAINT pk_redeem_codes PRIMARY KEY (id),
            CONSTRAINT ck_redeem_codes_amount CHECK (amount_nano > 0),
            CONSTRAINT uq_redeem_codes_code_hmac UNIQUE (code_hmac)
        )
        """
    )


def downgrade() -> None:
    """Take back."""
    op.execute("DROP TABLE redeem_codes")
