"""HTTP bodies of the accounts slice."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from deepspace.accounts.passwords import MIN_LENGTH

_PART = r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+"
_EMAIL = re.compile(f"{_PART}@{_PART}")
"""Nothing that could make a mail header name two addresses, or one address and something else."""


def is_email(text: str) -> bool:
    """Tell whether a text could be an e-mail address."""
    return (
        len(text) <= 254 and _EMAIL.fullmatch(text) is not None and "." in text.rpartition("@")[2].strip(".")
    )


def _plausible_email(text: str) -> str:
    if not is_email(text):
        raise ValueError("this is not an e-mail address")
    return text


Email = Annotated[str, Field(max_length=254), AfterValidator(_plausible_email)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
NewPassword = Annotated[str, Field(min_length=MIN_LENGTH, max_length=200)]


class Body(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class LoginBody(BaseModel):
    """Credentials of a person."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"email": "ada@example.org", "password": "correct horse"}},
    )

    email: Annotated[str, Field(max_length=254)]
    password: Annotated[str, Field(max_length=200)]


class UserView(BaseModel):
    """A user as others may see them."""

    id: UUID
    email: str
    name: str
    is_operator: bool


class TokenView(BaseModel):
    """An access token; the refresh token travels in an HttpOnly cookie."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(description="Seconds until the access token ends.")
    user: UserView


class ProjectView(BaseModel):
    """A project, and what the caller may do in it."""

    id: UUID
    name: str
    access: Literal["organization", "members"] = Field(
        description="Who works in it: everybody with `projects:read`, or its members only."
    )
    is_default: bool
    archived_at: datetime | None
    created_at: datetime
    role: str | None = Field(description="The caller's role in this project, of their own or by a team.")
    permissions: list[str] = Field(description="What the caller may do in this project.")


class OrganizationView(BaseModel):
    """An organisation the caller belongs to."""

    id: UUID
    name: str
    role: str = Field(description="owner, admin, member, guest, or custom; `key` for an API key.")
    permissions: list[str] = Field(description="What the caller may do in the whole organisation.")
    currency: str
    projects: list[ProjectView]


class MeView(UserView):
    """The caller and where they belong."""

    email_verified: bool
    locale: str
    has_password: bool = Field(description="False for who signs in with a provider only.")
    organizations: list[OrganizationView]
