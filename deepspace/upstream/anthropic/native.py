"""A call whose client and channel both speak the Anthropic dialect: its bytes pass through, and are read
along for text, usage and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deepspace.kit.sse import SseEvent
from deepspace.upstream.anthropic.answer import chat_usage, read_message
from deepspace.upstream.anthropic.stream import UsageSum, read_event
from deepspace.upstream.anthropic.words import JSON, object_of, objects_of
from deepspace.upstream.wire import Seen, WireUsage, error_message

MAX_HELD = 64
"""Events held back at the end of a stream; a real one has two."""

_PASSING = frozenset({"message_stop", "ping"})


def native_request(fields: Mapping[str, Any], *, model: str, max_tokens: int) -> JSON:
    """Return the client's own fields with the provider's name of the model and the bounded output limit."""
    return {**fields, "model": model, "max_tokens": max_tokens}


def native_count(fields: Mapping[str, Any], *, model: str) -> JSON:
    """Return the client's own fields with the provider's name of the model, as a request to count tokens."""
    return {**{name: field for name, field in fields.items() if name not in _NOT_COUNTED}, "model": model}


_NOT_COUNTED = frozenset({"max_tokens", "stream"})


def read_native_answer(payload: bytes) -> Seen:
    """Read a whole message; UpstreamError if it is none."""
    message = read_message(payload)
    text = "".join(_text_of(block) for block in objects_of(message["content"]))
    return Seen(True, text, True, wire_usage(chat_usage(object_of(message.get("usage")))), None)


class NativeStream:
    """Reads a stream along. The events that end it are kept in `held`: they wait for the books."""

    __slots__ = ("_usage", "held")

    def __init__(self) -> None:
        """Nothing was read yet."""
        self._usage = UsageSum()
        self.held: list[SseEvent] = []

    def take(self, event: SseEvent) -> tuple[Seen, list[SseEvent]]:
        """Return what an event says, and the events to pass on now; UpstreamError if it is none."""
        read = read_event(event.data)
        kind = read.get("type")
        if kind == "error":
            return Seen(False, "", False, None, error_message(event.data)), []
        if kind == "message_start":
            self._usage.add(object_of(read.get("message")).get("usage"))
        usage = None
        if kind == "message_delta":
            self._usage.add(read.get("usage"))
            usage = wire_usage(self._usage.chat())
        finished = kind == "message_stop" or object_of(read.get("delta")).get("stop_reason") is not None
        text = _text_of(object_of(read.get("delta" if kind == "content_block_delta" else "content_block")))
        return Seen(True, text, finished, usage, None), self._passed(event, kind)

    def _passed(self, event: SseEvent, kind: Any) -> list[SseEvent]:
        """Hold the last `message_delta` and what may follow it; anything else shows that it was not the
        last."""
        if kind == "message_delta":
            passed, self.held[:] = list(self.held), [event]
            return passed
        if kind == "message_stop" or (self.held and kind in _PASSING and len(self.held) < MAX_HELD):
            self.held.append(event)
            return []
        passed = [*self.held, event]
        self.held.clear()
        return passed


def wire_usage(usage: JSON | None) -> WireUsage | None:
    """Return usage of the inner language as its reader has it."""
    return msgspec.convert(usage, WireUsage) if usage is not None else None


def _text_of(part: JSON) -> str:
    """Return what a block or a delta delivers, whatever its kind: it is counted if no usage is stated."""
    given = part.get("input")
    written = msgspec.json.encode(given).decode() if given else ""
    return f"{part.get('text') or ''}{part.get('thinking') or ''}{part.get('partial_json') or ''}{written}"
