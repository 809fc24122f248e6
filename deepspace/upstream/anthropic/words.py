"""Words of the Anthropic dialect beside their OpenAI counterparts, for both directions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import msgspec

from deepspace.kit.errors import PlatformError

JSON = dict[str, Any]

VERSION = "2023-06-01"

FINISH_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "pause_turn": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "tool_use": "tool_calls",
        "refusal": "content_filter",
    }
)
"""Anthropic `stop_reason` → OpenAI `finish_reason`."""

STOP_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "function_call": "tool_use",
        "content_filter": "refusal",
    }
)
"""OpenAI `finish_reason` → Anthropic `stop_reason`."""

THINKING_BUDGETS: Mapping[str, int] = MappingProxyType(
    {"low": 1024, "medium": 4096, "high": 16384, "xhigh": 32768}
)
"""OpenAI `reasoning_effort` → Anthropic `thinking.budget_tokens`."""

LEAST_THINKING = 1024
"""The smallest budget the Messages API takes; it must also be below `max_tokens`."""

_NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_-]")


class Untranslatable(PlatformError):
    """The request has something that the dialect of the model's provider cannot say."""

    status = 400
    code = "invalid_request"


def tool_id(given: object) -> str:
    """Return an id of a tool call as the Messages API takes it: letters, digits, `_` and `-`. The same id
    always becomes the same one, so calls and results stay together."""
    return _NOT_IN_AN_ID.sub("_", str(given)) or "_"


def object_of(value: Any) -> JSON:
    """Return a JSON object, or an empty one in place of anything else."""
    return cast("JSON", value) if isinstance(value, dict) else {}


def kind_of(part: Mapping[str, Any]) -> str:
    """Return the `type` of a part, whatever is there; empty if nothing is."""
    return str(part.get("type") or "")


def objects_of(value: Any) -> list[JSON]:
    """Return the objects in a JSON array; none in place of anything else."""
    return (
        [cast("JSON", item) for item in cast("list[Any]", value) if isinstance(item, dict)]
        if (isinstance(value, list))
        else []
    )


def parts_of(content: Any, param: str) -> list[JSON]:
    """Return content as a list of parts: a text is one part. Untranslatable if it is neither."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise Untranslatable(f"'{param}' must be a text or a list.", param=param)
    return objects_of(cast("list[Any]", content))


def plain(parts: list[JSON]) -> str | list[JSON]:
    """Return content in its shortest form: a lone text part without anything else in it is its text."""
    if len(parts) == 1 and set(parts[0]) == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


def fields_of(raw: Mapping[str, Any]) -> JSON:
    """Decode fields that were kept as the bytes that came."""
    return {
        name: msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
        for name, value in raw.items()
    }
