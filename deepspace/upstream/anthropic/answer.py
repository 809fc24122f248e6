"""A message of the Messages API as a chat answer of the inner language, and its usage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deepspace.upstream.anthropic.words import FINISH_REASONS, JSON, object_of, objects_of
from deepspace.upstream.errors import UpstreamError
from deepspace.upstream.wire import error_message


def chat_usage(usage: Mapping[str, Any]) -> JSON | None:
    """Return the `usage` object of the inner language; None if the figures are none.

    There `prompt_tokens` is everything that went in; the Messages API states what was read from its cache
    and written to it beside `input_tokens`.
    """
    counts = {name: usage.get(name) or 0 for name in _COUNTS}
    split = object_of(usage.get("cache_creation"))
    hour = split.get("ephemeral_1h_input_tokens") or 0
    thinking = object_of(usage.get("output_tokens_details")).get("thinking_tokens") or 0
    if usage.get("input_tokens") is None or not all(
        isinstance(count, int) and count >= 0 for count in (*counts.values(), hour, thinking)
    ):
        return None
    asked = counts["input_tokens"] + counts["cache_read_input_tokens"] + counts["cache_creation_input_tokens"]
    told = counts["output_tokens"]
    return {
        "prompt_tokens": asked,
        "completion_tokens": told,
        "total_tokens": asked + told,
        "prompt_tokens_details": {
            "cached_tokens": counts["cache_read_input_tokens"],
            "cache_write_tokens": counts["cache_creation_input_tokens"] - hour,
            "cache_write_1h_tokens": hour,
        },
        "completion_tokens_details": {"reasoning_tokens": thinking},
    }


_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def read_message(payload: bytes) -> JSON:
    """Return the message in a body; UpstreamError if it is none, or an error told with status 200."""
    try:
        message = object_of(msgspec.json.decode(payload))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamError("The provider's answer is not valid JSON.") from None
    if message.get("type") == "error":
        raise UpstreamError(f"The provider reported an error: {error_message(payload)}")
    if message.get("type") != "message" or not isinstance(message.get("content"), list):
        raise UpstreamError("The provider's answer is not a message.")
    return message


def chat_answer(message: Mapping[str, Any], created: int) -> JSON:
    """Return the chat answer that says what `message` says. `created` is in seconds since 1970."""
    said: JSON = {"role": "assistant", "content": None}
    blocks = objects_of(message.get("content"))
    texts = [str(block.get("text", "")) for block in blocks if block.get("type") == "text"]
    if texts:
        said["content"] = "".join(texts)
    thinking = [block for block in blocks if block.get("type") in {"thinking", "redacted_thinking"}]
    if thinking:
        said["reasoning_content"] = "".join(str(block.get("thinking", "")) for block in thinking)
        said["thinking_blocks"] = thinking  # with their signatures: handed back, they are taken again
    calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
    if calls:
        said["tool_calls"] = calls
    finish = FINISH_REASONS.get(str(message.get("stop_reason")), "stop")
    answer: JSON = {
        "id": message.get("id"),
        "object": "chat.completion",
        "created": created,
        "model": message.get("model"),
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
    }
    usage = chat_usage(object_of(message.get("usage")))
    return {**answer, "usage": usage} if usage is not None else answer


def _call(block: JSON) -> JSON:
    arguments = msgspec.json.encode(block.get("input") or {}).decode()
    return {
        "id": block.get("id"),
        "type": "function",
        "function": {"name": block.get("name"), "arguments": arguments},
    }
