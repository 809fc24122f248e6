"""Tables of the billing slice.

The tables of the hot path have no foreign keys: their check costs a tenth of a settlement, the ledger writer
is their only writer, and invariants I4 and I6 find what a foreign key would have refused. Amounts are
nano-units, rates pico-units per token; both BIGINT or integers in JSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from deepspace.kit.db import Table

Moment = DateTime(timezone=True)
NOW = func.now()
ZERO = text("0")


class PriceRow(Table):
    """A version of a model's price. Never changed, only closed: the range's end is set when a later one
    begins."""

    __tablename__ = "prices"
    __table_args__ = (
        ExcludeConstraint(("model", "="), ("valid", "&&"), using="gist", name="ex_prices_model_valid"),
        CheckConstraint("per_call_nano >= 0", name="per_call"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    model: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text)
    valid: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    rates: Mapped[dict[str, int]] = mapped_column(JSONB)
    per_call_nano: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    tiers: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW)
    created_by: Mapped[UUID | None] = mapped_column()


class Wallet(Table):
    """An organisation's money. The last check is the database's own: available never goes below zero."""

    __tablename__ = "wallets"
    __table_args__ = (
        UniqueConstraint("org_id"),
        CheckConstraint("frozen_nano >= 0", name="frozen"),
        CheckConstraint("credit_limit_nano >= 0", name="credit_limit"),
        CheckConstraint("balance_nano - frozen_nano + credit_limit_nano >= 0", name="available"),
        CheckConstraint("state IN ('active', 'frozen')", name="state"),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id"))
    currency: Mapped[str] = mapped_column(Text)
    balance_nano: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    frozen_nano: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    credit_limit_nano: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    state: Mapped[str] = mapped_column(Text, server_default="active")
    version: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW)


class Hold(Table):
    """Money set aside for one call before it is sent; it ends captured, released or expired."""

    __tablename__ = "holds"
    __table_args__ = (
        # A reference is free again once its call ended without a charge: a retry then is a new call.
        Index(
            "uq_holds_org_id_billing_ref_id",
            "org_id",
            "billing_ref_id",
            unique=True,
            postgresql_where=text("state IN ('held', 'captured')"),
        ),
        CheckConstraint("amount_nano >= 0", name="amount"),
        CheckConstraint("refunded_nano BETWEEN 0 AND captured_nano", name="refunded"),
        CheckConstraint("state = 'captured' OR captured_nano = 0", name="captured"),
        CheckConstraint("state IN ('held', 'captured', 'released', 'expired')", name="state"),
        Index("ix_holds_open", "org_id", "trace_id", postgresql_where=text("state = 'held'")),
        Index(
            "ix_holds_ended",
            "org_id",
            "settled_at",
            postgresql_where=text("state IN ('released', 'expired')"),
        ),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column()
    wallet_id: Mapped[int] = mapped_column(BigInteger)
    project_id: Mapped[UUID | None] = mapped_column()
    user_id: Mapped[UUID | None] = mapped_column()
    api_key_id: Mapped[UUID | None] = mapped_column()
    billing_ref_id: Mapped[str] = mapped_column(Text)
    trace_id: Mapped[str] = mapped_column(Text)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    model: Mapped[str] = mapped_column(Text)
    price_id: Mapped[int] = mapped_column(BigInteger)
    amount_nano: Mapped[int] = mapped_column(BigInteger)
    captured_nano: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    refunded_nano: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    state: Mapped[str] = mapped_column(Text, server_default="held")
    boot_id: Mapped[UUID] = mapped_column()
    expires_at: Mapped[datetime] = mapped_column(Moment)
    upstream_request_id: Mapped[str | None] = mapped_column(Text)
    channel_id: Mapped[UUID | None] = mapped_column()
    estimated_input_tokens: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    progress_output_tokens: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    counter_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'::bigint[]"))
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW)
    settled_at: Mapped[datetime | None] = mapped_column(Moment)


class TransactionRow(Table):
    """A movement between two accounts: double entry by construction.

    Positive account numbers are wallets; negative ones belong to the platform and have no balance row:
    -1 revenue, -2 payments, -3 absorbed cost, -4 adjustments.
    """

    __tablename__ = "transactions"
    __table_args__ = (
        CheckConstraint("amount_nano > 0", name="amount"),
        CheckConstraint("debit_account <> credit_account", name="accounts"),
        CheckConstraint("type IN ('topup', 'capture', 'refund', 'absorb', 'adjust')", name="type"),
        UniqueConstraint("type", "ref"),
        Index("ix_transactions_org_id_created_at", "org_id", "created_at", "id"),
        Index("ix_transactions_refunds", "hold_id", postgresql_where=text("type = 'refund'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column()
    debit_account: Mapped[int] = mapped_column(BigInteger)
    credit_account: Mapped[int] = mapped_column(BigInteger)
    amount_nano: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(Text)
    hold_id: Mapped[UUID | None] = mapped_column()
    ref: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, server_default="")
    actor_id: Mapped[UUID | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW)


class UsageRecord(Table):
    """What one captured call used and cost."""

    __tablename__ = "usage_records"
    __table_args__ = (
        CheckConstraint("source IN ('reported', 'estimated', 'checkpoint')", name="source"),
        CheckConstraint("cost_nano >= 0", name="cost"),
        Index("ix_usage_records_org_id_created_at", "org_id", "created_at"),
        Index("ix_usage_records_created_at_brin", "created_at", postgresql_using="brin"),
    )

    hold_id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column()
    trace_id: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    channel_id: Mapped[UUID | None] = mapped_column()
    price_id: Mapped[int] = mapped_column(BigInteger)
    input_tokens: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    cached_input_tokens: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    cache_write_tokens: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    output_tokens: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    reasoning_tokens: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    other_tokens: Mapped[dict[str, int] | None] = mapped_column(JSONB)
    cost_nano: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW)


class Budget(Table):
    """A limit on spending: of an organisation, a project, a user, an API key or a run, per window."""

    __tablename__ = "budgets"
    __table_args__ = (
        CheckConstraint("scope IN ('organization', 'project', 'user', 'api_key', 'run')", name="scope"),
        CheckConstraint("period IN ('day', 'month', 'total')", name="period"),
        CheckConstraint("limit_nano >= 0", name="limit"),
        UniqueConstraint("org_id", "scope", "scope_id", "period"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    org_id: Mapped[UUID] = mapped_column(ForeignKey("orgs.id", ondelete="CASCADE"))
    scope: Mapped[str] = mapped_column(Text)
    scope_id: Mapped[UUID] = mapped_column()
    period: Mapped[str] = mapped_column(Text)
    limit_nano: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW)


class BudgetCounter(Table):
    """What a budget has held and spent in one period. Periods begin at midnight UTC."""

    __tablename__ = "budget_counters"
    __table_args__ = (
        UniqueConstraint("budget_id", "period_start"),
        CheckConstraint("held_nano >= 0", name="held"),
        CheckConstraint("spent_nano >= 0", name="spent"),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    org_id: Mapped[UUID] = mapped_column()
    budget_id: Mapped[int] = mapped_column(ForeignKey("budgets.id", ondelete="CASCADE"))
    period_start: Mapped[date] = mapped_column()
    held_nano: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    spent_nano: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)


class CallAnswer(Table):
    """What a call with an idempotency key was answered, to be answered again."""

    __tablename__ = "call_answers"

    hold_id: Mapped[UUID] = mapped_column(primary_key=True)
    org_id: Mapped[UUID] = mapped_column()
    status: Mapped[int] = mapped_column(BigInteger)
    content_type: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW, index=True)


class RedeemCode(Table):
    """A code that can be exchanged once for its amount."""

    __tablename__ = "redeem_codes"
    __table_args__ = (CheckConstraint("amount_nano > 0", name="amount"), UniqueConstraint("code_hmac"))

    id: Mapped[UUID] = mapped_column(primary_key=True)
    code_hmac: Mapped[bytes] = mapped_column(LargeBinary)
    hint: Mapped[str] = mapped_column(Text)
    amount_nano: Mapped[int] = mapped_column(BigInteger)
    note: Mapped[str] = mapped_column(Text, server_default="")
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW)
    created_by: Mapped[UUID | None] = mapped_column()
    redeemed_at: Mapped[datetime | None] = mapped_column(Moment)
    redeemed_by: Mapped[UUID | None] = mapped_column()


class ProviderCheck(Table):
    """What a channel's provider counted in a period, beside what the books say."""

    __tablename__ = "provider_checks"
    __table_args__ = (
        UniqueConstraint("channel_id", "period_start", "period_end"),
        CheckConstraint("period_start < period_end", name="period"),
        CheckConstraint("status IN ('equal', 'differs', 'unavailable')", name="status"),
        Index("ix_provider_checks_created_at", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    channel_id: Mapped[UUID] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"))
    period_start: Mapped[datetime] = mapped_column(Moment)
    period_end: Mapped[datetime] = mapped_column(Moment)
    status: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, server_default="")
    ours: Mapped[dict[str, Any]] = mapped_column(JSONB)
    theirs: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(Moment, server_default=NOW)
