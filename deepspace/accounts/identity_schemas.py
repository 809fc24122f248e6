"""HTTP bodies of signing in and of a person's own account."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from deepspace.accounts.schemas import Body, Email, Name, NewPassword

Locale = Literal["en-US", "zh-CN"]
Password = Annotated[str, Field(max_length=200)]
Token = Annotated[str, Field(min_length=1, max_length=200)]
Code = Annotated[str, Field(min_length=1, max_length=20, description="Six digits, or a recovery code.")]


class SecretBody(BaseModel):
    """A body with a password: unknown fields are refused, and nothing is stripped."""

    model_config = ConfigDict(extra="forbid")


class RegisterBody(SecretBody):
    """A new account."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"email": "ada@example.org", "password": "correct horse battery", "name": "Ada"}
        },
    )

    email: Email
    password: NewPassword
    name: Name
    organization_name: Name | None = Field(
        None, description="Where registration is open: the name of one's own organisation."
    )
    invitation_token: Token | None = None
    locale: Locale = "en-US"


class RegistrationView(BaseModel):
    """Who may register."""

    mode: Literal["invite", "open", "closed"]


class SecondFactorBody(SecretBody):
    """The second step of a sign-in."""

    challenge: Token = Field(description="From the answer `second_factor_required`.")
    code: Code


class SessionView(BaseModel):
    """A sign-in that has not ended."""

    id: UUID
    current: bool = Field(description="Whether it is the session of this request.")
    user_agent: str
    ip: str
    created_at: datetime
    last_used_at: datetime = Field(description="When its access token was last renewed; to ten minutes.")
    expires_at: datetime


class EndedView(BaseModel):
    """How many sessions were ended."""

    ended: int


class ChangePasswordBody(SecretBody):
    """A new password in place of the current one."""

    current_password: Password | None = Field(
        None, description="Left out by an account without a password, within ten minutes of its sign-in."
    )
    new_password: NewPassword


class ForgotBody(Body):
    """An account whose password is forgotten."""

    email: Annotated[str, Field(max_length=254)]


class ResetBody(SecretBody):
    """A new password, by the link of a mail."""

    token: Token
    password: NewPassword


class ConfirmEmailBody(Body):
    """The token of a link in a mail."""

    token: Token


class ProfileBody(Body):
    """What changes; what is left out stays."""

    name: Name | None = None
    locale: Locale | None = None


class ChangeEmailBody(SecretBody):
    """A new address for an account."""

    email: Email
    password: Password | None = None


class PasswordBody(SecretBody):
    """The password, again; left out by an account without one, within ten minutes of its sign-in."""

    password: Password | None = None


class PasswordAndCodeBody(PasswordBody):
    """The password, again, and a code of the second factor."""

    code: Code


class FactorView(BaseModel):
    """The state of the second factor."""

    enabled: bool
    recovery_codes_left: int


class EnrolmentView(BaseModel):
    """A secret for an authenticator app."""

    secret: str = Field(description="Base32, to be typed in.")
    otpauth_uri: str = Field(description="The same as an address, to be shown as a QR code.")


class CodeBody(Body):
    """A code of the authenticator app."""

    code: Code


class RecoveryCodesView(BaseModel):
    """Codes that stand in for the app, each once. They are shown this one time."""

    recovery_codes: list[str]


class DeletionOrganizationView(BaseModel):
    """What becomes of an organisation."""

    id: UUID
    name: str
    fate: Literal["leave", "close", "hand_over_first"]


class DeletionView(BaseModel):
    """What would go with the account."""

    possible: bool
    obstacles: list[str]
    organizations: list[DeletionOrganizationView]
    api_keys: int
    sessions: int


class ProviderView(BaseModel):
    """A sign-in provider."""

    name: str
    label: str


class ProvidersView(BaseModel):
    """The sign-in providers of this platform."""

    items: list[ProviderView]


class IdentityView(BaseModel):
    """An account at a provider that opens this account."""

    id: UUID
    provider: str
    email: str
    created_at: datetime
    last_used_at: datetime


class IdentitiesView(BaseModel):
    """All of them."""

    items: list[IdentityView]


class DepartureView(BaseModel):
    """Where to send the browser."""

    authorization_url: str
