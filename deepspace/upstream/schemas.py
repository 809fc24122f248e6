"""HTTP bodies of the upstream slice."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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


class ModelBody(BaseModel):
    """A model that the channel serves."""

    model_config = ConfigDict(extra="forbid")

    model: Name = Field(description="The name clients use.")
    upstream_model: Name | None = Field(None, description="The provider's name; leave out if it is the same.")
    context_length: Annotated[int, Field(gt=0)] | None = None
    max_output_tokens: Annotated[int, Field(gt=0)] | None = None


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
    models: Annotated[list[ModelBody], Field(min_length=1, max_length=1000)]
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    timeouts: TimeoutsBody = TimeoutsBody()
    on_disconnect: Literal["drain", "cancel"] = Field(
        "drain", description="When a client leaves: read the answer to its end for exact usage, or stop it."
    )


class ChannelPatch(BaseModel):
    """What to change in a channel."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["enabled", "disabled"]


class ChannelModelView(BaseModel):
    """A model that a channel serves."""

    model: str
    upstream_model: str
    context_length: int | None
    max_output_tokens: int | None


class ChannelView(BaseModel):
    """A channel. Its credential is write-only."""

    id: UUID
    name: str
    kind: str
    base_url: str
    has_api_key: bool
    has_usage_key: bool
    models: list[ChannelModelView]
    priority: int
    weight: int
    on_disconnect: str
    status: str
    created_at: datetime


class ChannelTestView(BaseModel):
    """The outcome of a test call."""

    ok: bool
    model: str
    status: int
