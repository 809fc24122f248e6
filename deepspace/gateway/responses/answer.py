"""A chat answer of the inner language as a response of the Responses API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deepspace.billing.rates import Usage
from deepspace.gateway.responses.input import seal
from deepspace.upstream.anthropic.words import JSON, object_of, objects_of

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""`finish_reason` → `incomplete_details.reason`; any other one is a complete answer."""

_TOLD_BACK = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)


def response_usage(usage: Usage) -> JSON:
    """Return the `usage` object. Details are parts of the totals."""
    return {
        "input_tokens": usage.input_total,
        "input_tokens_details": {
            "cached_tokens": usage.cached_input,
            "cache_write_tokens": usage.cache_write + usage.cache_write_1h,
        },
        "output_tokens": usage.output_total,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input_total + usage.output_total,
    }


def response_of(asked: Mapping[str, Any], trace_id: str, created: int) -> JSON:
    """Return a response that has only begun. `created` is in seconds since 1970.

    `store` is false whatever was asked: nothing is kept, and the answer says so.
    """
    reasoning, text = object_of(asked.get("reasoning")), object_of(asked.get("text"))
    parallel = asked.get("parallel_tool_calls")
    return {
        "id": f"resp_{trace_id}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "metadata": object_of(asked.get("metadata")),
        "model": asked.get("model"),
        "output": [],
        "parallel_tool_calls": True if parallel is None else parallel,
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "store": False,
        "text": {**text, "format": text.get("format") or {"type": "text"}},
        "tool_choice": asked.get("tool_choice") or "auto",
        "tools": objects_of(asked.get("tools")),
        "truncation": "disabled",
        "usage": None,
        **{name: asked.get(name) for name in _TOLD_BACK},
    }


def ended(begun: JSON, output: list[JSON], finish: str, *, usage: JSON | None, at: int) -> JSON:
    """Return the response complete, or incomplete as `finish`, a `finish_reason`, says. `at` is in seconds
    since 1970."""
    reason = _INCOMPLETE.get(finish)
    if reason is not None:
        end: JSON = {"status": "incomplete", "incomplete_details": {"reason": reason}}
    else:
        end = {"status": "completed", "completed_at": at}
    return {**begun, **end, "output": output, "usage": usage}


def item_status(finish: str) -> str:
    """Return how the last item of an answer ended."""
    return "incomplete" if finish in _INCOMPLETE else "completed"


def message_item(item_id: str, parts: list[JSON], status: str) -> JSON:
    """Return what the assistant said."""
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": parts}


def text_part(text: str, logprobs: list[JSON]) -> JSON:
    """Return a text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def refusal_part(text: str) -> JSON:
    """Return a refusal by the model."""
    return {"type": "refusal", "refusal": text}


def call_item(item_id: str, call_id: Any, name: Any, arguments: str, status: str) -> JSON:
    """Return the call of a tool."""
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "arguments": arguments,
        "call_id": call_id,
        "name": name,
    }


def reasoning_item(item_id: str, text: str, blocks: list[JSON], *, sealed: bool) -> JSON:
    """Return reasoning as its summary; with `sealed`, signed thinking goes along to be handed back."""
    item: JSON = {"id": item_id, "type": "reasoning", "summary": [summary_part(text)] if text else []}
    return {**item, "encrypted_content": seal(blocks) if blocks else None} if sealed else item


def summary_part(text: str) -> JSON:
    """Return a summary of reasoning."""
    return {"type": "summary_text", "text": text}


def wants_reasoning(asked: Mapping[str, Any]) -> bool:
    """Tell whether the client asks for reasoning in a form that it can hand back."""
    included: Any = asked.get("include")
    return isinstance(included, list) and "reasoning.encrypted_content" in included


def logprobs_of(choice: JSON) -> list[JSON]:
    """Return the log probabilities of a choice; none if none are told."""
    return [
        {"top_logprobs": [], **entry, "bytes": entry.get("bytes") or []}
        for entry in objects_of(object_of(choice.get("logprobs")).get("content"))
    ]


def arguments_text(arguments: Any) -> str:
    """Return a tool's arguments as a text; some servers send an object."""
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()


def output_of(choice: JSON, trace_id: str, *, sealed: bool) -> list[JSON]:
    """Return the items that say what a choice says."""
    said = object_of(choice.get("message"))
    status = item_status(str(choice.get("finish_reason")))
    output: list[JSON] = []
    thought = said.get("reasoning_content") or said.get("reasoning") or ""
    blocks = objects_of(said.get("thinking_blocks"))
    if thought or blocks:
        output.append(reasoning_item(f"rs_{trace_id}_0", str(thought), blocks, sealed=sealed))
    parts = [text_part(str(said["content"]), logprobs_of(choice))] if said.get("content") else []
    if said.get("refusal"):
        parts.append(refusal_part(str(said["refusal"])))
    if parts:
        output.append(message_item(f"msg_{trace_id}_{len(output)}", parts, status))
    for number, call in enumerate(objects_of(said.get("tool_calls"))):
        function = object_of(call.get("function"))
        call_id = call.get("id") or f"call_{trace_id}_{number}"
        text = arguments_text(function.get("arguments") or {})
        output.append(
            call_item(f"fc_{trace_id}_{len(output)}", call_id, function.get("name"), text, "completed")
        )
    return output
