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
    per_call: Amount = "0"
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
