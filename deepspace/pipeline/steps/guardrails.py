"""guardrails: look through what is asked; remember what is to look through the answer.

It stands where a plug-in would, in front of the hold: what is masked here is what is bounded, sent and
counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import msgspec

from deepspace.kit.errors import ValidationFailed
from deepspace.pipeline.exchange import ChatCall, Exchange
from deepspace.pipeline.registry import PluginStep
from deepspace.pipeline.verdicts import STEP, Verdicts
from deepspace.policy.guardrails.port import ActiveGuard
from deepspace.policy.guardrails.watch import Report, looked_through

THREAD_FROM_BYTES = 64 * 1024
"""A request from this size on is looked through beside the event loop."""

_TEXT_FIELDS = frozenset(
    ("messages", "system", "input", "instructions", "prompt", "suffix", "query", "documents")
)
_NO_TEXT = frozenset(
    (
        *("type", "role", "id", "name", "model", "tool_call_id", "tool_use_id", "call_id", "file_id"),
        *("url", "image_url", "file_url", "data", "file_data", "media_type", "format", "signature"),
        *("encrypted_content", "cache_control"),
    )
)
"""Fields that hold no prose: names, addresses and data, which a mask would break."""

Change = Callable[[str], str]


class Guardrails:
    """Runs the organisation's and the operators' guards over a request."""

    name = STEP

    async def __call__(self, x: Exchange) -> None:
        """Write output_guards; put the request with its masks in the place of the client's, or refuse it."""
        if not x.guards:
            return
        x.output_guards = tuple(active for active in x.guards if "output" in active.sides)
        guards = tuple(active for active in x.guards if "input" in active.sides)
        if guards:
            report = Verdicts(x, "input")
            if len(x.call.body) < THREAD_FROM_BYTES:
                x.call = _checked(x.call, guards, report)
            else:
                x.call = await asyncio.to_thread(_checked, x.call, guards, report)


def guardrails() -> PluginStep:
    """Return the step in its place: behind everything that adds to a request."""
    return PluginStep(Guardrails(), after="workflow", before="budget_hold")


def _checked(call: ChatCall, guards: tuple[ActiveGuard, ...], report: Report) -> ChatCall:
    fields = dict(call.fields)
    is_changed = False
    try:
        for name in _TEXT_FIELDS & fields.keys():
            given = fields[name]
            value = msgspec.json.decode(given) if isinstance(given, msgspec.Raw) else given
            masked = changed_in(value, lambda text: looked_through(text, guards, report))
            if masked is not value:
                fields[name], is_changed = msgspec.Raw(msgspec.json.encode(masked)), True
    except RecursionError:
        raise ValidationFailed("The request is nested too deeply.") from None
    if not is_changed:
        return call
    body, operation = msgspec.json.encode(fields), call.operation
    if operation is not None:  # its bound was reckoned before; a mask may be longer than what it hides
        more = max(0, len(body) - len(msgspec.json.encode(call.fields)))
        operation = replace(operation, input_bound=operation.input_bound + more)
    return replace(call, fields=fields, body=body, operation=operation)


def changed_in(value: Any, change: Change) -> Any:
    """Return a JSON value with its texts changed; the same object if none was."""
    if isinstance(value, str):
        changed = change(value)
        return value if changed == value else changed
    if isinstance(value, list):
        found = cast("list[Any]", value)
        items = [changed_in(item, change) for item in found]
        return found if all(a is b for a, b in zip(items, found, strict=True)) else items
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        entries = {
            name: item if name in _NO_TEXT else changed_in(item, change) for name, item in named.items()
        }
        return named if all(entries[name] is item for name, item in named.items()) else entries
    return value
