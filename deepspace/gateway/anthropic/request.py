"""A Messages request as a chat request of the inner language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deepspace.upstream.anthropic.words import (
    JSON,
    THINKING_BUDGETS,
    Untranslatable,
    kind_of,
    object_of,
    objects_of,
    parts_of,
    plain,
)

_AS_IT_IS = ("model", "max_tokens", "temperature", "top_p", "stream")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def chat_request(asked: Mapping[str, Any]) -> JSON:
    """Return the chat request that says what `asked` says; Untranslatable if there is none.

    `output_config.format` becomes a JSON schema in `response_format`, `thinking` becomes `reasoning_effort`.
    Signatures of thinking, `cache_control` and `top_k` have no counterpart and are left out.
    """
    made: JSON = {name: asked[name] for name in _AS_IT_IS if asked.get(name) is not None}
    messages: list[JSON] = []
    system = [_part(block) for block in parts_of(asked.get("system"), "system")]
    if system:
        messages.append({"role": "system", "content": plain(system)})
    for message in objects_of(asked.get("messages")):
        messages += _messages(message)
    made["messages"] = messages
    if asked.get("stop_sequences"):
        made["stop"] = asked["stop_sequences"]
    user = object_of(asked.get("metadata")).get("user_id")
    if user:
        made["user"] = user
    made |= _tools(asked)
    config = object_of(asked.get("output_config"))
    wanted = object_of(config.get("format") or asked.get("output_format"))
    if kind_of(wanted) == "json_schema":
        schema = {"name": "answer", "schema": wanted.get("schema"), "strict": True}
        made["response_format"] = {"type": "json_schema", "json_schema": schema}
    effort = _effort(object_of(asked.get("thinking")), config.get("effort"))
    return {**made, "reasoning_effort": effort} if effort else made


def _messages(message: JSON) -> list[JSON]:
    role, blocks = message.get("role"), parts_of(message.get("content"), "messages")
    if role == "assistant":
        return [_said(blocks)]
    if role not in {"user", "system"}:
        raise Untranslatable(f"There is no role '{role}'.", param="messages")
    made: list[JSON] = []
    parts: list[JSON] = []
    for block in blocks:
        if kind_of(block) == "tool_result":
            result, shown = _tool_result(block)
            made.append(result)
            parts += shown
        else:
            parts.append(_part(block))
    if parts or not made:
        made.append({"role": role, "content": plain(parts)})
    return made


def _tool_result(block: JSON) -> tuple[JSON, list[JSON]]:
    """Return a tool's result as a message, which takes texts only, and its images for the user's message
    behind it."""
    parts = [_part(part) for part in parts_of(block.get("content"), "messages")]
    texts = [part for part in parts if part["type"] == "text"]
    message = {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": plain(texts) or ""}
    return message, [part for part in parts if part["type"] != "text"]


def _said(blocks: list[JSON]) -> JSON:
    said: JSON = {"role": "assistant"}
    thinking = "".join(str(block.get("thinking", "")) for block in blocks if kind_of(block) == "thinking")
    texts = [_part(block) for block in blocks if kind_of(block) == "text"]
    calls = [_call(block) for block in blocks if kind_of(block) == "tool_use"]
    if texts or not calls:
        said["content"] = plain(texts) or ""
    if thinking:
        said["reasoning_content"] = thinking
    if calls:
        said["tool_calls"] = calls
    return said


def _call(block: JSON) -> JSON:
    arguments = msgspec.json.encode(block.get("input") or {}).decode()
    function = {"name": block.get("name"), "arguments": arguments}
    return {"id": block.get("id"), "type": "function", "function": function}


def _part(block: JSON) -> JSON:
    kind, source = kind_of(block), object_of(block.get("source"))
    if kind == "text":
        return {"type": "text", "text": str(block.get("text") or "")}
    if kind == "image" and kind_of(source) in {"url", "base64"}:
        return {"type": "image_url", "image_url": {"url": _address(source)}}
    if kind == "document" and kind_of(source) == "text":
        return {"type": "text", "text": str(source.get("data") or "")}
    if kind == "document" and kind_of(source) == "base64":
        name = block.get("title") or "document"
        return {"type": "file", "file": {"filename": name, "file_data": _address(source)}}
    raise Untranslatable(
        f"The model's provider takes no '{kind}' of this kind in a message.", param="messages"
    )


def _address(source: JSON) -> str:
    if kind_of(source) == "url":
        return str(source.get("url"))
    return f"data:{source.get('media_type')};base64,{source.get('data')}"


def _tools(asked: Mapping[str, Any]) -> JSON:
    tools = [_tool(tool) for tool in objects_of(asked.get("tools"))]
    if not tools:
        return {}
    made: JSON = {"tools": tools}
    choice = object_of(asked.get("tool_choice"))
    kind = kind_of(choice)
    if kind == "tool":
        made["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif kind in _CHOICES:
        made["tool_choice"] = _CHOICES[str(kind)]
    if choice.get("disable_parallel_tool_use"):
        made["parallel_tool_calls"] = False
    return made


def _tool(tool: JSON) -> JSON:
    if kind_of(tool) not in {"", "custom"}:
        raise Untranslatable(f"The model's provider has no tool '{tool.get('type')}'.", param="tools")
    function: JSON = {"name": tool.get("name")}
    function |= {name: tool[name] for name in ("description", "strict") if tool.get(name) is not None}
    function["parameters"] = tool.get("input_schema") or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _effort(thinking: JSON, effort: Any) -> str | None:
    """Return how hard the model shall think: what is said, or the greatest effort within the budget."""
    if kind_of(thinking) not in {"enabled", "adaptive"}:
        return None
    if effort:
        return "high" if str(effort) in {"xhigh", "max"} else str(effort)
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int):
        return None
    fitting = [name for name in ("low", "medium", "high") if THINKING_BUDGETS[name] <= budget]
    return fitting[-1] if fitting else "low"
