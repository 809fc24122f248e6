"""HTTP bodies of the billing slice. Money is a decimal string."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from deepspace.kit.money import NotAnAmount, micro_per_million, nano


def _amount(text: str) -> str:
    try:
        nano(text)
    except NotAnAmount as error:
        raise ValueError(str(error)) from None
    return text


def _rate(text: str) -> str:
    try:
        value = micro_per_million(text)
    except NotAnAmount as error:
        raise ValueError(str(error)) from None
    if not 0 <= value < 10**15:
        raise ValueError("a price must be between 0 and 1,000,000,000 per million tokens")
    return text


def _not_negative(text: str) -> str:
    if nano(_amount(text)) < 0:
        raise ValueError("the amount must not be negative")
    return text


Amount = Annotated[str, Field(max_length=40, examples=["12.5"]), AfterValidator(_amount)]
Rate = Annotated[str, Field(max_length=40, examples=["0.15"]), AfterValidator(_rate)]


class WalletView(BaseModel):
    """An organisation's money. `balance` includes what is `frozen` by open holds."""

    organization_id: UUID
    currency: str
    balance: str
    frozen: str
    credit_limit: str
    available: str = Field(description="balance − frozen + credit_limit: what a new call can hold.")
    state: Literal["active", "frozen"]


class EntryView(BaseModel):
    """A ledger entry."""

    id: UUID
    type: Literal["hold", "capture", "release", "refund", "topup", "adjust", "absorb"]
    amount: str
    held: str | None = Field(description="What was set aside for the call this entry belongs to.")
    currency: str
    billing_ref_id: str | None
    trace_id: str | None
    reason: str
    created_at: datetime


class TopupBody(BaseModel):
    """A payment to book."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"amount": "25", "reason": "invoice 2026-118"}}
    )

    amount: Amount
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class TierBody(BaseModel):
    """Other rates from a number of input tokens up."""

    model_config = ConfigDict(extra="forbid")

    from_input_tokens: Annotated[int, Field(gt=0, le=10**9)]
    per_million: dict[str, Rate]


class PriceBody(BaseModel):
    """A price to publish."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "model": "gpt-5-mini",
                "currency": "USD",
                "per_million": {"input": "0.25", "cached_input": "0.025", "output": "2"},
            }
        },
    )

    model: Annotated[str, Field(min_length=1, max_length=200)]
    currency: str | None = None
    per_million: dict[str, Rate] = Field(description="Price per million tokens, by token class.")
    per_call: Annotated[str, Field(max_length=40), AfterValidator(_not_negative)] = "0"
    tiers: Annotated[list[TierBody], Field(max_length=20)] = []
    effective_at: AwareDatetime | None = Field(None, description="When it takes effect; leave out for now.")


class PriceView(BaseModel):
    """A version of a price."""

    id: int
    model: str
    currency: str
    per_million: dict[str, str]
    per_call: str
    tiers: list[dict[str, Any]]
    effective_at: datetime
    ends_at: datetime | None


class RefundBody(BaseModel):
    """What to give back of a call."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "answer was cut off"}})

    amount: Amount | None = Field(None, description="Leave out for all that is left.")
    reason: Annotated[str, Field(min_length=1, max_length=500)]
    organization_id: UUID | None = Field(
        None, description="Needed only if several organisations used the reference."
    )


class WalletPatch(BaseModel):
    """What to change about a wallet."""

    model_config = ConfigDict(extra="forbid")

    credit_limit: Amount | None = None
    state: Literal["active", "frozen"] | None = None


class RedeemBody(BaseModel):
    """A code to redeem."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"code": "K7M2P-3QRST-VWXYZ-01234"}}
    )

    code: Annotated[str, Field(min_length=10, max_length=60)]


class RedeemCodesBody(BaseModel):
    """A lot of redeem codes to make."""

    model_config = ConfigDict(extra="forbid")

    amount: Amount
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    note: Annotated[str, Field(max_length=500)] = ""
    expires_at: AwareDatetime | None = None


class RedeemCodesView(BaseModel):
    """Codes just made: shown this once."""

    codes: list[str]


class BudgetBody(BaseModel):
    """A budget to set. One exists for each scope and period; setting it again changes its limit."""

    model_config = ConfigDict(extra="forbid")

    scope: Literal["organization", "project", "user", "api_key", "run"]
    scope_id: UUID | None = Field(None, description="Leave out for the organisation itself.")
    period: Literal["day", "month", "total"] = Field(description="Days and months begin at midnight UTC.")
    limit: Amount


class BudgetView(BaseModel):
    """A budget and where it stands in the present period."""

    id: int
    scope: str
    scope_id: UUID
    period: str
    limit: str
    spent: str
    held: str
    remaining: str


class ReceiptView(BaseModel):
    """A signed receipt; `deepspace audit verify-receipt FILE` checks it without a server."""

    receipt: dict[str, Any]
    algorithm: Literal["Ed25519"]
    key_id: str
    public_key: str
    signature: str


class PaymentData(BaseModel):
    """What was paid."""

    organization_id: UUID
    amount: Amount
    currency: str


class PaymentEvent(BaseModel):
    """A payment provider's event. Only `payment.succeeded` moves money; others are taken note of."""

    type: str
    data: PaymentData


class PriceImportBody(BaseModel):
    """A price list: `items`, or the same as CSV with the columns model, then a column for each token
    class."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[PriceBody], Field(max_length=5000)] = []
    csv: Annotated[str, Field(max_length=2_000_000)] | None = None
    dry_run: bool = True


class PriceChange(BaseModel):
    """What an import does to one model."""

    model: str
    action: Literal["new", "change", "same"]
    before: dict[str, str] | None
    after: dict[str, str]


class PriceImportView(BaseModel):
    """What an import did, or would do."""

    dry_run: bool
    changes: list[PriceChange]
