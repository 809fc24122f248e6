"""HTTP bodies of the accounts slice."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from deepspace.accounts.passwords import MIN_LENGTH


def _plausible_email(text: str) -> str:
    name, _, domain = text.rpartition("@")
    if not name or "." not in domain.strip(".") or any(character.isspace() for character in text):
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
    """A project."""

    id: UUID
    name: str


class OrganizationView(BaseModel):
    """An organisation the caller belongs to."""

    id: UUID
    name: str
    role: str
    currency: str
    projects: list[ProjectView]


class MeView(UserView):
    """The caller and where they belong."""

    organizations: list[OrganizationView]


class NewProjectBody(Body):
    """A project to create."""

    name: Name
