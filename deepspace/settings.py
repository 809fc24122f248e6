"""Settings: from the environment (DEEPSPACE_*), from .env, or from a TOML file; frozen; read by wiring
alone."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from deepspace.kit.client_address import networks_of

PREFIX = "DEEPSPACE_"


class SettingsWrong(Exception):
    """A setting has a wrong value; the message names it."""


def _postgres_url(text: str) -> str:
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("it must begin with postgresql://")
    return text


def _networks(text: str) -> str:
    networks_of(text)
    return text


def _redis_url(text: str) -> str:
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("it must begin with redis://, rediss:// or unix://")
    return text


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) < 32:
        raise ValueError("it needs at least 32 characters")
    return secret


def _public_url(text: str) -> str:
    if not text.startswith(("https://", "http://")) or "?" in text or "#" in text:
        raise ValueError("it must begin with https:// or http://")
    return text


class SmtpSettings(BaseModel):
    """A mail server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr
    sender: str


class OidcSettings(BaseModel):
    """A sign-in provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str
    client_id: str
    client_secret: SecretStr | None = None
    label: str | None = None
    scopes: str = "openid email profile"
    link_by_email: bool = False


ProviderName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]


class Settings(BaseSettings):
    """Everything that can be set from outside. .env.example explains each."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",  # other programs' names may stand in .env; misspelled names of ours are found below
    )

    database_url: Annotated[str, AfterValidator(_postgres_url)] | None = None
    data_dir: Path = Path(".deepspace")
    secret_key: Annotated[SecretStr, AfterValidator(_long_enough)] | None = None
    credential_key: Annotated[SecretStr, AfterValidator(_long_enough)] | None = None
    credential_keys_accepted: SecretStr | None = None
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    max_body_mib: Annotated[int, Field(ge=1, le=512)] = 20
    max_calls: Annotated[int, Field(ge=1, le=100_000)] = 4000
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    memory_mib: Annotated[int, Field(ge=1)] | None = None
    lag_strained_ms: Annotated[int, Field(ge=10, le=60_000)] = 500
    lag_overloaded_ms: Annotated[int, Field(ge=10, le=60_000)] = 2000
    request_timeout_s: Annotated[float, Field(ge=0.1, le=3600)] = 120
    write_timeout_s: Annotated[float, Field(ge=0.1, le=900)] = 30
    session_days: Annotated[int, Field(ge=1, le=365)] = 30
    registration: Literal["invite", "open", "closed"] = "invite"
    public_url: Annotated[str, AfterValidator(_public_url)] | None = None
    smtp: SmtpSettings | None = None
    oidc: dict[ProviderName, OidcSettings] | None = None
    payment_webhook_secret: SecretStr | None = None
    hold_ttl_s: Annotated[float, Field(ge=5, le=3600)] = 120
    drain_s: Annotated[float, Field(ge=0, le=900)] = 30
    web_dist: Path | None = None
    trusted_proxies: Annotated[str, AfterValidator(_networks)] | None = None
    redis_url: Annotated[str, AfterValidator(_redis_url)] | None = None
    limits_when_unavailable: Literal["local", "refuse"] = "local"
    limits_timeout_ms: Annotated[int, Field(ge=5, le=5000)] = 100
    limits_lease_s: Annotated[float, Field(ge=2, le=3600)] = 60

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """First the command line, then the environment, .env, and the TOML file named by DEEPSPACE_CONFIG."""
        sources = (init_settings, env_settings, dotenv_settings)
        file = os.environ.get(f"{PREFIX}CONFIG") or dotenv_values(".env").get(f"{PREFIX}CONFIG")
        if file is None:
            return sources
        if not Path(file).is_file():
            raise SettingsWrong(f"{PREFIX}CONFIG: there is no file {file}")
        return (*sources, TomlConfigSettingsSource(settings_cls, file))


def load_settings(environment: Mapping[str, str] = os.environ, **overrides: Any) -> Settings:
    """Return the settings, or raise SettingsWrong with a sentence that names the wrong one."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{PREFIX}CONFIG"}
    for name in (*environment, *dotenv_values(".env")):
        if name.startswith(PREFIX) and name.split("__")[0] not in known:
            stems = [setting.removeprefix(PREFIX) for setting in known]
            close = difflib.get_close_matches(name.removeprefix(PREFIX), stems, 1)
            hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
            raise SettingsWrong(f"{name} is not a setting{hint}")
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        fault = error.errors()[0]
        name = PREFIX + "__".join(str(part) for part in fault["loc"]).upper()
        message = str(fault["msg"]).removeprefix("Value error, ")
        raise SettingsWrong(f"{name}: {message[:1].lower()}{message[1:]}") from None
