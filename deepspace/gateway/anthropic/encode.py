"""Answers in the Anthropic dialect: translated, or the provider's own bytes with the cost in `usage`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deepspace.gateway.anthropic.answer import message_of, message_usage
from deepspace.gateway.anthropic.errors import error_body
from deepspace.gateway.anthropic.request import chat_request
from deepspace.gateway.anthropic.stream import EventsOfChunks
from deepspace.gateway.cost import with_cost
from deepspace.kit.errors import PlatformError
from deepspace.kit.money import decimal_from_nano
from deepspace.kit.sse import SseEvent, encode_event
from deepspace.pipeline.exchange import ChatCall, Exchange
from deepspace.upstream.anthropic.words import JSON, fields_of

_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MESSAGE_STOP = encode_event(b'{"type":"message_stop"}', b"message_stop")


class AnthropicEncoder:
    """The Encoder of this dialect, for one call; see pipeline/exchange.py."""

    content_type = "application/json"

    def __init__(self) -> None:
        """Nothing was written yet."""
        self._events: EventsOfChunks | None = None

    def inner(self, call: ChatCall) -> Mapping[str, Any]:
        """Return the call as a chat request."""
        return chat_request(fields_of(call.fields))

    def frame(self, x: Exchange, data: bytes) -> bytes:
        """Return the events that a chunk becomes."""
        return self._stream(x).take(data)

    def whole(self, x: Exchange) -> bytes:
        """Return the message with the cost in its usage."""
        answer = x.answer or b"{}"
        if x.is_native:
            return with_cost(answer, _cost(x), _counted(x))
        return msgspec.json.encode(message_of(answer, _usage(x), x.trace_id))

    def tail(self, x: Exchange, error: PlatformError | None) -> bytes:
        """Return the end of a stream: an error event, or the stop reason, usage and cost."""
        if error is not None:
            return encode_event(error_body(error, x.trace_id), b"error")
        if not x.is_native:
            return self._stream(x).end(_usage(x))
        rest = [_with_cost_event(event, x) for event in x.held]
        if not x.held or b"message_stop" not in x.held[-1].data:
            rest.append(_MESSAGE_STOP)
        return b"".join(rest)

    def error(self, x: Exchange, error: PlatformError) -> bytes:
        """Return the error object."""
        return error_body(error, x.trace_id)

    def _stream(self, x: Exchange) -> EventsOfChunks:
        if self._events is None:
            self._events = EventsOfChunks(x.estimated_input_tokens, x.trace_id)
        return self._events


def _cost(x: Exchange) -> JSON:
    """Return the cost as fields of a usage object."""
    if x.cost_nano is None or x.price is None:
        return {}
    return {"cost": decimal_from_nano(x.cost_nano), "currency": x.price.currency}


def _counted(x: Exchange) -> JSON:
    """Return the usage that was charged, as this dialect states it."""
    if x.charged_usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    usage = message_usage(x.charged_usage)
    return usage if x.usage_source == "reported" else {**usage, "estimated": True}


def _usage(x: Exchange) -> JSON:
    return {**_counted(x), **_cost(x)}


def _with_cost_event(event: SseEvent, x: Exchange) -> bytes:
    """Return an event as it came; a `message_delta` with the cost in its usage."""
    if _fields_decoder.decode(event.data).get("type") != msgspec.Raw(b'"message_delta"'):
        return event.raw
    data = with_cost(event.data, _cost(x), _counted(x))
    if event.raw.count(event.data) == 1:
        return event.raw.replace(event.data, data)
    return encode_event(data.replace(b"\n", b" ").replace(b"\r", b" "), b"message_delta")
