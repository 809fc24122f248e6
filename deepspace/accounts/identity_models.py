"""Tables of signing in. None of them is a tenant's business: no tenant transaction reads them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from deepspace.kit.db import Table

Moment = DateTime(timezone=True)


class Knocks(Table):
    """How often something was tried, by the HMAC of what it was tried on: no address stands here."""

    __tablename__ = "knocks"
    __table_args__ = (Index("ix_knocks_last_at", "last_at"),)

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    count: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    last_at: Mapped[datetime] = mapped_column(Moment)
    wait_until: Mapped[datetime] = mapped_column(Moment)


class OneTimeToken(Table):
    """A token that is good once: of a link in a mail, or between the two factors of a sign-in."""

    __tablename__ = "one_time_tokens"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        CheckConstraint(
            "purpose IN ('verify_email', 'change_email', 'reset_password', 'second_factor')", name="purpose"
        ),
        Index("ix_one_time_tokens_user_id", "user_id"),
        Index("ix_one_time_tokens_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    purpose: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    email: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(Moment)


class TotpSecret(Table):
    """The shared secret of a user's authenticator app; `last_step` is the newest time step that was used."""

    __tablename__ = "totp_secrets"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    confirmed_at: Mapped[datetime | None] = mapped_column(Moment)


class RecoveryCode(Table):
    """A code that stands in for the authenticator app once; a used one is deleted."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    code_hmac: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)


class OidcIdentity(Table):
    """A user's account at an OpenID provider, named by issuer and subject alone (OpenID Connect Core 5.7)."""

    __tablename__ = "oidc_identities"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        Index("ix_oidc_identities_user_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    provider: Mapped[str] = mapped_column(Text)
    issuer: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text, server_default="")
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
    last_used_at: Mapped[datetime] = mapped_column(Moment, server_default=func.now())
