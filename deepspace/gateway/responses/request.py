"""A Responses request as a chat request of the inner language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deepspace.gateway.dialect import InvalidRequest, UnsupportedFeature
from deepspace.gateway.responses.errors import StateNotKept
from deepspace.gateway.responses.input import Conversation
from deepspace.upstream.anthropic.words import JSON, kind_of, object_of, objects_of

_AS_IT_IS = (
    "model",
    "temperature",
    "top_p",
    "stream",
    "parallel_tool_calls",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "service_tier",
)
_STATE = ("previous_response_id", "conversation")
_NOT_HERE = ("background", "prompt", "moderation", "context_management")
_CHOICES = frozenset({"auto", "none", "required"})


def chat_request(asked: Mapping[str, Any]) -> JSON:
    """Return the chat request that says what `asked` says; StateNotKept or UnsupportedFeature with the field
    that a call without memory and built-in tools cannot serve.

    `metadata` is told back and goes no further. `store`, `include`, `max_tool_calls` and the options of
    caches concern what is not here and change nothing.
    """
    _refuse(asked)
    made: JSON = {name: asked[name] for name in _AS_IT_IS if asked.get(name) is not None}
    conversation = Conversation()
    if asked.get("instructions"):
        conversation.say("system", asked["instructions"])
    conversation.take(asked.get("input"))
    made["messages"] = conversation.messages()
    if asked.get("max_output_tokens") is not None:
        made["max_tokens"] = asked["max_output_tokens"]
    effort = object_of(asked.get("reasoning")).get("effort")
    if effort:
        made["reasoning_effort"] = effort
    return made | _tools(asked) | _text(object_of(asked.get("text"))) | _logprobs(asked)


def _refuse(asked: Mapping[str, Any]) -> None:
    for name in _STATE:
        if asked.get(name):
            raise StateNotKept(
                f"'{name}' names what a server would have to remember, and this one keeps no responses: "
                "send the whole conversation as 'input'.",
                param=name,
            )
    for name in _NOT_HERE:
        if asked.get(name):
            raise UnsupportedFeature(f"'{name}' is not offered here; leave it out.", param=name)
    if asked.get("truncation") not in {None, "disabled"}:
        raise UnsupportedFeature(
            "'truncation' must be 'disabled': what is too long for the model is refused, not shortened.",
            param="truncation",
        )


def _tools(asked: Mapping[str, Any]) -> JSON:
    tools = [_tool(tool) for tool in objects_of(asked.get("tools"))]
    choice = asked.get("tool_choice")
    if isinstance(choice, dict):
        tools, choice = _chosen(object_of(asked["tool_choice"]), tools)
    elif choice is not None and choice not in _CHOICES:
        raise InvalidRequest(
            "'tool_choice' must be 'auto', 'none', 'required' or an object.", param="tool_choice"
        )
    if not tools:
        return {}
    return {"tools": tools, "tool_choice": choice} if choice is not None else {"tools": tools}


def _tool(tool: JSON) -> JSON:
    if kind_of(tool) != "function":
        raise UnsupportedFeature(
            f"A tool of type '{kind_of(tool)}' runs on a provider's server and is not offered here; "
            "tools of type 'function' are.",
            param="tools",
        )
    names = ("name", "description", "parameters", "strict")
    function = {name: tool[name] for name in names if tool.get(name) is not None}
    return {"type": "function", "function": function}


def _chosen(choice: JSON, tools: list[JSON]) -> tuple[list[JSON], Any]:
    """Return the tools that may be called, and the choice among them."""
    if kind_of(choice) == "function":
        return tools, {"type": "function", "function": {"name": choice.get("name")}}
    if kind_of(choice) == "allowed_tools":
        allowed = {str(tool.get("name")) for tool in objects_of(choice.get("tools"))}
        mode = "required" if choice.get("mode") == "required" else "auto"
        return [tool for tool in tools if str(tool["function"].get("name")) in allowed], mode
    raise UnsupportedFeature(
        f"'tool_choice' of type '{kind_of(choice)}' names a tool that is not offered here.",
        param="tool_choice",
    )


def _text(text: JSON) -> JSON:
    made: JSON = {"verbosity": text["verbosity"]} if text.get("verbosity") else {}
    wanted = object_of(text.get("format"))
    kind = kind_of(wanted)
    if kind == "json_object":
        return {**made, "response_format": {"type": "json_object"}}
    if kind == "json_schema":
        names = ("name", "description", "schema", "strict")
        schema = {name: wanted[name] for name in names if wanted.get(name) is not None}
        return {**made, "response_format": {"type": "json_schema", "json_schema": schema}}
    if kind not in {"", "text"}:
        raise UnsupportedFeature(f"A text of format '{kind}' is not offered here.", param="text")
    return made


def _logprobs(asked: Mapping[str, Any]) -> JSON:
    included: Any = asked.get("include")
    wanted = isinstance(included, list) and "message.output_text.logprobs" in included
    if asked.get("top_logprobs") is None:
        return {"logprobs": True} if wanted else {}
    return {"logprobs": True, "top_logprobs": asked["top_logprobs"]}
