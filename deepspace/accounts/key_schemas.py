"""HTTP bodies of API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, Field

from deepspace.accounts.schemas import Body, Name
from deepspace.accounts.scopes import Surface, parse_network

AddressBlock = Annotated[str, Field(max_length=64), AfterValidator(parse_network)]


class _Narrowing(Body):
    """What a key is narrowed to."""

    routes: Annotated[list[Surface], Field(min_length=1, max_length=10)] | None = Field(
        None, description="Surfaces the key may use; leave out for all."
    )
    models: Annotated[list[Name], Field(max_length=500)] | None = Field(
        None, description="Models the key may call; leave out for all."
    )
    project_ids: Annotated[list[UUID], Field(max_length=100)] = Field(
        [], description="Projects the key may name by `x-deepspace-project`, beside its own."
    )
    allowed_ips: Annotated[list[AddressBlock], Field(max_length=100)] = Field(
        [], description="Addresses or CIDR blocks the key may be used from; empty for anywhere."
    )
    expires_at: AwareDatetime | None = None


class NewKeyBody(_Narrowing):
    """An API key to make."""

    name: Name
    project_id: UUID


class KeyChangeBody(_Narrowing):
    """What a key is to be from now on; what is left out becomes unlimited, as in a new key."""

    name: Name


class RotateBody(Body):
    """How to rotate a key."""

    overlap_s: Annotated[int, Field(ge=0, le=30 * 24 * 3600)] = Field(
        3600, description="Seconds for which the present text still works."
    )


class KeyView(BaseModel):
    """An API key without its secret."""

    id: UUID
    project_id: UUID
    name: str
    hint: str
    routes: list[str] | None
    models: list[str] | None
    project_ids: list[UUID]
    allowed_ips: list[str]
    created_at: datetime
    created_by: UUID | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="Written every few seconds, not with each call.")
    previous_expires_at: datetime | None = Field(
        description="Until when the text before the last rotation works."
    )


class NewKeyView(KeyView):
    """An API key just made or rotated: `secret` is shown this once."""

    secret: str
