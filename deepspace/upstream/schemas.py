"""HTTP bodies of the upstream slice."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from deepspace.upstream.catalogue import Purpose

Name = Annotated[str, Field(min_length=1, max_length=200)]


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.username
        or parts.query
        or parts.fragment
    ):
        raise ValueError("give an http:// or https:// address without user, query or fragment")
    return text.rstrip("/")


def _proxy_url(text: str) -> str:
    parts = urlsplit(text)
    if (
        parts.scheme != "http"
        or not parts.hostname
        or parts.path not in {"", "/"}
        or parts.query
        or parts.fragment
        or not text.isascii()
        or not text.isprintable()
        or (parts.port or 1) < 1
    ):
        raise ValueError("give the http:// address of a proxy, such as http://user:password@proxy:3128")
    return text.rstrip("/")


ProxyUrl = Annotated[str, Field(max_length=500), AfterValidator(_proxy_url)]

_NOT_OURS_TO_SET = frozenset(
    [
        "authorization",
        "x-api-key",
        "host",
        "cookie",
        "expect",
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "transfer-encoding",
        "te",
        "trailer",
        "connection",
        "keep-alive",
        "upgrade",
    ]
)
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]{0,998}[\x21-\x7e])?")


def _header_fields(given: dict[str, str]) -> dict[str, str]:
    """Return header fields by lower-case name (RFC 9110, 5.1 and 5.5), or say which one cannot be sent."""
    fields = {name.lower(): value for name, value in given.items()}
    for name, value in fields.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(f"'{name[:100]}' is not a header field that can be sent")
        if name in _NOT_OURS_TO_SET:
            raise ValueError(f"'{name}' is set by the gateway itself")
    return fields


HeaderFields = Annotated[dict[str, str], Field(max_length=30), AfterValidator(_header_fields)]


class ModelBody(BaseModel):
    """A model that the channel serves."""

    model_config = ConfigDict(extra="forbid")

    model: Name = Field(description="The name clients use.")
    upstream_model: Name | None = Field(None, description="The provider's name; leave out if it is the same.")
    context_length: Annotated[int, Field(gt=0)] | None = None
    max_output_tokens: Annotated[int, Field(gt=0)] | None = None
    purpose: Purpose = Field("chat", description="What it is for. It is shown, and forbids nothing.")


def _each_once(models: list[ModelBody]) -> list[ModelBody]:
    """Return the models, or say which name stands there twice."""
    seen: set[str] = set()
    for item in models:
        if item.model in seen:
            raise ValueError(f"the model '{item.model}' stands there twice")
        seen.add(item.model)
    return models


ServedModels = Annotated[list[ModelBody], Field(min_length=1, max_length=1000), AfterValidator(_each_once)]


class TimeoutsBody(BaseModel):
    """Seconds; what is left out has its default."""

    model_config = ConfigDict(extra="forbid")

    connect_s: Annotated[float, Field(gt=0, le=60)] = 10
    first_byte_s: Annotated[float, Field(gt=0, le=900)] = 120
    idle_s: Annotated[float, Field(gt=0, le=900)] = 60
    total_s: Annotated[float, Field(gt=0, le=3600)] = 900


class ChannelBody(BaseModel):
    """A channel to create."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "name": "campus-newapi",
                "kind": "newapi",
                "base_url": "https://llm.example.edu/v1",
                "api_key": "sk-…",
                "models": [{"model": "qwen3-32b", "context_length": 131072, "max_output_tokens": 8192}],
            }
        },
    )

    name: Name
    kind: Literal["newapi", "openai", "anthropic"]
    base_url: Annotated[str, Field(max_length=500), AfterValidator(_http_url)]
    api_key: Annotated[str, Field(max_length=500)] | None = None
    usage_key: Annotated[str, Field(max_length=500)] | None = Field(
        None,
        description="A credential that may read the provider's usage report, to check the books against.",
    )
    proxy: ProxyUrl | None = Field(
        None,
        description="The HTTP proxy that leads to the provider, by CONNECT. Encrypted as credentials are.",
    )
    models: ServedModels
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    weight: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="Share of the calls among channels of the same priority."
    )
    max_parallel: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        None, description="Calls under way at a time, in each gateway process; leave out for any number."
    )
    headers: HeaderFields = Field({}, description="Header fields to send with each call.")
    timeouts: TimeoutsBody = TimeoutsBody()
    on_disconnect: Literal["drain", "cancel"] = Field(
        "drain", description="When a client leaves: read the answer to its end for exact usage, or stop it."
    )
    pass_through: bool = Field(
        False,
        description="Take calls at addresses under /v1 that the gateway does not know, paid by the call.",
    )


class ChannelPatch(BaseModel):
    """What to change in a channel; what is left out stays. `null` takes a credential or a limit away."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["enabled", "disabled"] = "enabled"
    name: Name = ""
    base_url: Annotated[str, Field(max_length=500), AfterValidator(_http_url)] = ""
    api_key: Annotated[str, Field(max_length=500)] | None = None
    usage_key: Annotated[str, Field(max_length=500)] | None = None
    proxy: ProxyUrl | None = None
    models: ServedModels = []
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    max_parallel: Annotated[int, Field(ge=1, le=100_000)] | None = None
    headers: HeaderFields = {}
    timeouts: TimeoutsBody = TimeoutsBody()
    on_disconnect: Literal["drain", "cancel"] = "drain"
    pass_through: bool = False


class ChannelModelView(BaseModel):
    """A model that a channel serves."""

    model: str
    upstream_model: str
    context_length: int | None
    max_output_tokens: int | None
    purpose: Purpose


class ChannelView(BaseModel):
    """A channel. Its credential is write-only."""

    id: UUID
    name: str
    kind: str
    base_url: str
    has_api_key: bool
    has_usage_key: bool
    proxy: str | None = Field(description="Without its credentials.")
    models: list[ChannelModelView]
    priority: int
    weight: int
    max_parallel: int | None
    headers: dict[str, str]
    timeouts: dict[str, float]
    on_disconnect: str
    pass_through: bool
    status: str
    created_at: datetime


class HealthView(BaseModel):
    """How a channel's model does, as the answering gateway process knows it."""

    state: Literal["closed", "half_open", "open"] = Field(
        description="The circuit breaker: `closed` lets calls pass."
    )
    in_flight: int
    error_rate: float = Field(description="Share of the last twenty or so tries that failed.")


class ChannelHealthView(BaseModel):
    """How a channel does, by model; a model that was not tried since the start is not listed."""

    models: dict[str, HealthView]


class ImportBody(BaseModel):
    """Which of the provider's models to serve."""

    model_config = ConfigDict(extra="forbid")

    only: Annotated[list[Name], Field(max_length=1000)] | None = Field(
        None, description="Names among the provider's; leave out for all."
    )
    dry_run: bool = False


class ImportView(BaseModel):
    """What the provider lists, and what was added of it (or would be)."""

    listed: list[str]
    added: list[str]


class ChannelTestView(BaseModel):
    """The outcome of a test call."""

    ok: bool
    model: str
    status: int
