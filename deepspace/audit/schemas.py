"""HTTP bodies of the audit slice."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field


class TraceIdentity(BaseModel):
    """Who made the call."""

    kind: Literal["api_key", "session"]
    user_id: UUID | None
    api_key_id: UUID | None
    api_key_name: str | None


class TraceHold(BaseModel):
    """The money set aside."""

    amount: str
    state: Literal["held", "captured", "released", "expired"]
    created_at: datetime
    settled_at: datetime | None


class TraceUsage(BaseModel):
    """The tokens of the call. `by_class` has the disjoint classes that were priced."""

    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    by_class: dict[str, int]
    source: Literal["reported", "estimated", "checkpoint"]


class TracePrice(BaseModel):
    """The price version the call was made under, and the sum."""

    version_id: int
    currency: str
    per_million: dict[str, str]
    per_call: str
    formula: str | None


class TraceAttempt(BaseModel):
    """One try at one channel."""

    channel_id: UUID
    channel_name: str
    model: str | None = Field(None, description="The name clients use; another one after a fallback.")
    upstream_model: str
    status: int | None
    error: str | None
    started_at: datetime
    first_byte_ms: float | None
    duration_ms: float
    response_bytes: int


class TraceEntry(BaseModel):
    """A ledger entry of the call."""

    id: UUID
    type: str
    amount: str
    created_at: datetime


class TraceEvent(BaseModel):
    """Something that happened, in order. `offset_ms` counts from the arrival of the request."""

    offset_ms: float
    step: str
    event: str
    duration_ms: float | None = None
    detail: dict[str, Any] = Field(default_factory=dict)


class TraceError(BaseModel):
    """What the caller was told when the call failed."""

    code: str
    message: str
    status: int


class TraceCall(BaseModel):
    """One of the calls that share the trace id."""

    billing_ref_id: str | None
    state: str
    model: str | None
    started_at: datetime
    cost: str | None


class TraceView(BaseModel):
    """The story of a call."""

    trace_id: str
    billing_ref_id: str | None
    organization_id: UUID
    project_id: UUID | None
    state: Literal["held", "captured", "released", "expired", "refused"]
    model: str | None
    stream: bool
    started_at: datetime
    ended_at: datetime | None
    duration_ms: float | None
    currency: str
    cost: str | None
    identity: TraceIdentity | None
    error: TraceError | None
    hold: TraceHold | None
    usage: TraceUsage | None
    price: TracePrice | None
    attempts: list[TraceAttempt]
    transactions: list[TraceEntry]
    timeline: list[TraceEvent]
    calls: list[TraceCall]
