"""Answers in the OpenAI dialect: the provider's bytes, with the cost put into `usage`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deepspace.gateway.cost import with_cost
from deepspace.gateway.openai.errors import error_body
from deepspace.kit.errors import PlatformError
from deepspace.kit.money import decimal_from_nano
from deepspace.kit.sse import encode_event
from deepspace.pipeline.exchange import ChatCall, Exchange

_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NONE = msgspec.Raw(b"[]")


class OpenAIEncoder:
    """The Encoder of this dialect; see pipeline/exchange.py."""

    content_type = "application/json"

    def inner(self, call: ChatCall) -> Mapping[str, Any]:
        """Return the client's fields: this dialect is the inner language."""
        return call.fields

    def frame(self, x: Exchange, data: bytes) -> bytes:
        """Return a chunk as an event."""
        return encode_event(data)

    def whole(self, x: Exchange) -> bytes:
        """Return the provider's JSON answer with the cost in its usage, and every other byte as it was."""
        cost = _cost(x)
        if x.answer is not None and x.usage is not None and cost:
            return with_cost(x.answer, cost, {})
        fields = _fields_decoder.decode(x.answer or b"{}")
        fields["usage"] = msgspec.Raw(msgspec.json.encode(usage_object(x, fields.get("usage"))))
        return msgspec.json.encode(fields)

    def tail(self, x: Exchange, error: PlatformError | None) -> bytes:
        """Return the end of a stream: an error event, or the usage with its cost if asked for, and [DONE]."""
        if error is not None:
            return encode_event(error_body(error, x.trace_id), b"error")
        usage = encode_event(_usage_event(x)) if x.call.wants_usage else b""
        return usage + encode_event(b"[DONE]")

    def error(self, x: Exchange, error: PlatformError) -> bytes:
        """Return the error object."""
        return error_body(error, x.trace_id)


def _usage_event(x: Exchange) -> bytes:
    """Return the usage chunk: the provider's with our cost in it, or one made from the last chunk."""
    fields: dict[str, Any] = _fields_decoder.decode(x.usage_event or x.last_event or b"{}")
    cost = _cost(x)
    if x.usage_event is not None and x.usage is not None and cost and fields.get("choices") == _NONE:
        return with_cost(x.usage_event, cost, {}).replace(b"\n", b" ").replace(b"\r", b" ")
    fields["choices"] = []
    fields["usage"] = usage_object(x, fields.get("usage"))
    return msgspec.json.encode(fields)


def usage_object(x: Exchange, reported: msgspec.Raw | None) -> dict[str, Any]:
    """Return the usage object of an answer: what the provider reported, or what was counted, with the
    cost."""
    usage: dict[str, Any] = {}
    if reported is not None and x.usage is not None:
        usage = msgspec.json.decode(reported) or {}
    if not usage and x.charged_usage is not None:
        asked, told = x.charged_usage.input_total, x.charged_usage.output_total
        usage = {
            "prompt_tokens": asked,
            "completion_tokens": told,
            "total_tokens": asked + told,
            "estimated": True,
        }
    return usage | _cost(x)


def _cost(x: Exchange) -> dict[str, Any]:
    """Return the cost as fields of a usage object; none if it is not known."""
    if x.cost_nano is None or x.price is None:
        return {}
    return {"cost": decimal_from_nano(x.cost_nano), "currency": x.price.currency}
