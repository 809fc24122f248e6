"""HTTP bodies of fallbacks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from deepspace.upstream.fallbacks import MOST_FALLBACKS

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


def _each_once(names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        raise ValueError("a model stands there twice")
    return names


Chain = Annotated[list[Name], Field(max_length=MOST_FALLBACKS), AfterValidator(_each_once)]


class FallbacksBody(BaseModel):
    """Which models stand in for one. It replaces what was set before."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"if_unavailable": ["qwen-plus"], "if_too_long": ["qwen-long"]}},
    )

    if_unavailable: Chain = Field(
        [], description="Asked in this order when every channel of the model failed before the first byte."
    )
    if_too_long: Chain = Field(
        [], description="Asked in this order when the request is too long for the model: larger ones."
    )


class FallbacksView(BaseModel):
    """Which models stand in for one, in order."""

    model: str
    if_unavailable: list[str]
    if_too_long: list[str]
    changed_at: datetime
