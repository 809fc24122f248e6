"""A chat answer of the inner language as a message of the Messages API."""

from __future__ import annotations

from typing import Any

import msgspec

from deepspace.billing.rates import Usage
from deepspace.upstream.anthropic.request import arguments_of
from deepspace.upstream.anthropic.words import JSON, STOP_REASONS, object_of, objects_of, tool_id


def message_usage(usage: Usage) -> JSON:
    """Return the `usage` object: what was read from a cache or written to it stands beside
    `input_tokens`."""
    written = usage.cache_write + usage.cache_write_1h
    made: JSON = {
        "input_tokens": usage.input_total - usage.cached_input - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.output_total,
    }
    return (
        {**made, "output_tokens_details": {"thinking_tokens": usage.reasoning}} if usage.reasoning else made
    )


def message_of(answer: bytes, usage: JSON, fallback_id: str) -> JSON:
    """Return the message that says what the first choice of `answer` says."""
    chat = object_of(msgspec.json.decode(answer))
    choice: JSON = next(iter(objects_of(chat.get("choices"))), dict[str, Any]())
    said = object_of(choice.get("message"))
    content: list[JSON] = []
    thought = said.get("reasoning_content") or said.get("reasoning")
    if thought:
        content.append({"type": "thinking", "thinking": thought, "signature": ""})
    text = said.get("content") or said.get("refusal")
    if text:
        content.append({"type": "text", "text": text})
    for number, call in enumerate(objects_of(said.get("tool_calls"))):
        function = object_of(call.get("function"))
        block = tool_use(call.get("id") or f"{fallback_id}_{number}", function.get("name"))
        content.append({**block, "input": arguments_of(function.get("arguments"))})
    reason, stop = stop_of(choice, refused=bool(said.get("refusal")))
    return {
        "id": message_id(chat.get("id") or fallback_id),
        "type": "message",
        "role": "assistant",
        "model": chat.get("model"),
        "content": content,
        "stop_reason": reason,
        "stop_sequence": stop,
        "usage": usage,
    }


def message_id(given: Any) -> str:
    """Return an id as the Messages API has them, made from the provider's."""
    text = str(given)
    return text if text.startswith("msg_") else f"msg_{text}"


def tool_use(call_id: Any, name: Any) -> JSON:
    """Return the block of a tool's call, without its input."""
    return {"type": "tool_use", "id": tool_id(call_id), "name": name, "input": {}}


def stop_of(choice: JSON, *, refused: bool) -> tuple[str, str | None]:
    """Return `stop_reason` and `stop_sequence` of a choice; several servers name the sequence beside
    `finish_reason`."""
    stop = choice.get("stop_reason")
    if choice.get("finish_reason") == "stop" and isinstance(stop, str) and stop:
        return "stop_sequence", stop
    if refused:
        return "refusal", None
    return STOP_REASONS.get(str(choice.get("finish_reason")), "end_turn"), None
