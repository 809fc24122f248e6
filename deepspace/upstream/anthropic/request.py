"""A chat request of the inner language as a Messages request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deepspace.upstream.anthropic.words import (
    JSON,
    LEAST_THINKING,
    THINKING_BUDGETS,
    Untranslatable,
    kind_of,
    object_of,
    objects_of,
    parts_of,
    plain,
    tool_id,
)

_JSON_ONLY = "Answer with one JSON object and nothing else."
"""Says `response_format: {"type": "json_object"}`, for which the Messages API has no field."""

_AS_IT_IS = ("temperature", "top_p", "stream")


def messages_request(chat: Mapping[str, Any], *, model: str, max_tokens: int) -> JSON:
    """Return the Messages request that says what `chat` says; Untranslatable if there is none.

    A JSON schema (`response_format`) becomes `output_config.format`; `reasoning_effort` becomes `thinking`
    with a budget. An extra field `thinking` is taken as it is.
    """
    if (chat.get("n") or 1) != 1:
        raise Untranslatable("The model's provider gives one choice: 'n' must be 1.", param="n")
    system, messages = _conversation(objects_of(chat.get("messages")))
    made: JSON = {"model": model, "max_tokens": max_tokens, "messages": messages}
    made |= {name: chat[name] for name in _AS_IT_IS if chat.get(name) is not None}
    if isinstance(made.get("temperature"), int | float):
        made["temperature"] = min(made["temperature"], 1)  # 0 to 2 there, 0 to 1 here
    stop = chat.get("stop")
    if stop:
        made["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if chat.get("user"):
        made["metadata"] = {"user_id": chat["user"]}
    made |= _tools(chat)
    kind = kind_of(object_of(chat.get("response_format")))
    if kind == "json_schema":
        schema = object_of(object_of(chat["response_format"]).get("json_schema")).get("schema")
        made["output_config"] = {"format": {"type": "json_schema", "schema": object_of(schema)}}
    elif kind == "json_object":
        system.append({"type": "text", "text": _JSON_ONLY})
    if system:
        made["system"] = plain(system)
    made |= _thinking(chat, made)
    if kind_of(object_of(made.get("thinking"))) in {"enabled", "adaptive"}:
        made.pop("temperature", None)  # only the default goes with thinking
    return made


def _conversation(chat: list[JSON]) -> tuple[list[JSON], list[JSON]]:
    """Return the system prompt's blocks and the messages. Results of tools that follow each other are one
    message."""
    system: list[JSON] = []
    messages: list[JSON] = []
    results: list[JSON] = []
    for message in chat:
        role = message.get("role")
        if role == "tool":
            if not results:
                messages.append({"role": "user", "content": results})
            results.append(_tool_result(message))
            continue
        results = []
        if role in {"system", "developer"}:
            system += [_block(part) for part in parts_of(message.get("content"), "messages") if _says(part)]
        elif role == "user":
            blocks = [_block(part) for part in parts_of(message.get("content"), "messages") if _says(part)]
            messages.append({"role": "user", "content": plain(blocks)})
        elif role == "assistant":
            messages.append({"role": "assistant", "content": plain(_said(message))})
        else:
            raise Untranslatable(f"The model's provider has no role '{role}'.", param="messages")
    return system, messages


def _tool_result(message: JSON) -> JSON:
    blocks = [_block(part) for part in parts_of(message.get("content"), "messages") if _says(part)]
    result = {"type": "tool_result", "tool_use_id": tool_id(message.get("tool_call_id"))}
    return {**result, "content": plain(blocks)} if blocks else result


def _said(message: JSON) -> list[JSON]:
    """Return what the assistant said: signed thinking if it was handed back, text, calls of tools."""
    blocks = [
        block
        for block in objects_of(message.get("thinking_blocks"))
        if block.get("signature") or kind_of(block) == "redacted_thinking"
    ]
    parts = parts_of(message.get("content"), "messages") or parts_of(message.get("refusal"), "messages")
    blocks += [_block(part) for part in parts if _says(part)]
    for call in objects_of(message.get("tool_calls")):
        function = object_of(call.get("function"))
        blocks.append(
            {
                "type": "tool_use",
                "id": tool_id(call.get("id")),
                "name": function.get("name"),
                "input": arguments_of(function.get("arguments")),
            }
        )
    return blocks


def arguments_of(text: Any) -> JSON:
    """Return a tool's arguments as an object. What is no JSON object is kept under `arguments`: a model
    wrote it, and the next one shall see it."""
    if not text:
        return {}
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, TypeError, RecursionError):
        found = None
    return object_of(found) if isinstance(found, dict) else {"arguments": text}


def _says(part: JSON) -> bool:
    """Tell whether a part says anything: the Messages API refuses empty texts."""
    return kind_of(part) != "text" or bool(part.get("text"))


def _block(part: JSON) -> JSON:
    kind = kind_of(part)
    if kind in {"text", "refusal"}:
        return {"type": "text", "text": str(part.get("text") or part.get("refusal") or "")}
    if kind == "image_url":
        return {"type": "image", "source": source_of(str(object_of(part.get("image_url")).get("url")))}
    data = object_of(part.get("file")).get("file_data") if kind == "file" else None
    if isinstance(data, str):
        block: JSON = {"type": "document", "source": source_of(data)}
        name = object_of(part["file"]).get("filename")
        return {**block, "title": name} if name else block
    raise Untranslatable(f"The model's provider takes no '{kind}' in a message.", param="messages")


def source_of(url: str) -> JSON:
    """Return the source of an image or a document: the data in a data: URL, or an address."""
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    head, comma, data = url[5:].partition(",")
    media_type, _, encoding = head.partition(";")
    if not comma or encoding != "base64":
        raise Untranslatable("A data: URL must be base64.", param="messages")
    return {"type": "base64", "media_type": media_type, "data": data}


def _tools(chat: Mapping[str, Any]) -> JSON:
    tools = [_tool(tool) for tool in objects_of(chat.get("tools"))]
    if not tools:
        return {}
    wanted = chat.get("tool_choice")
    if isinstance(wanted, dict):
        choice: JSON = {
            "type": "tool",
            "name": object_of(object_of(chat["tool_choice"]).get("function")).get("name"),
        }
    elif str(wanted) in {"none", "required"}:
        choice = {"type": {"none": "none", "required": "any"}[str(wanted)]}
    else:
        choice = {"type": "auto"}
    if chat.get("parallel_tool_calls") is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    stated = wanted is not None or "disable_parallel_tool_use" in choice
    return {"tools": tools, "tool_choice": choice} if stated else {"tools": tools}


def _tool(tool: JSON) -> JSON:
    function = object_of(tool.get("function"))
    if kind_of(tool) != "function" or not function:
        raise Untranslatable(
            f"The model's provider takes no tools of type '{tool.get('type')}'.", param="tools"
        )
    made: JSON = {"name": function.get("name")}
    made |= {name: function[name] for name in ("description", "strict") if function.get(name) is not None}
    made["input_schema"] = function.get("parameters") or {"type": "object", "properties": {}}
    return made


def _thinking(chat: Mapping[str, Any], made: JSON) -> JSON:
    """Return `thinking`, if it is asked for and possible: the budget needs room, a tool may not be forced,
    and a turn that is under way must have begun with signed thinking."""
    if isinstance(chat.get("thinking"), dict):
        return {"thinking": chat["thinking"]}
    wanted = THINKING_BUDGETS.get(str(chat.get("reasoning_effort")))
    forced = made.get("tool_choice", {}).get("type") in {"any", "tool"}
    room = made["max_tokens"] > LEAST_THINKING
    if wanted is None or forced or not room or _is_under_way_without_thinking(made["messages"]):
        return {}
    budget = min(wanted, max(LEAST_THINKING, made["max_tokens"] // 2))
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _is_under_way_without_thinking(messages: list[JSON]) -> bool:
    """Tell whether the last message brings results of tools to a turn that shows no thinking."""
    if not messages or not any(kind_of(b) == "tool_result" for b in objects_of(messages[-1]["content"])):
        return False
    said: Any = next((m["content"] for m in reversed(messages) if m["role"] == "assistant"), None)
    return not any("thinking" in kind_of(block) for block in objects_of(said))
