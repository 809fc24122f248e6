"""The addresses of the OpenAI dialect that are no chat: a Dialect around each one's parser, and the one
encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deepspace.gateway.asgi import Scope, header
from deepspace.gateway.cost import with_cost
from deepspace.gateway.openai.errors import error_body
from deepspace.kit.errors import PlatformError
from deepspace.kit.money import decimal_from_nano
from deepspace.kit.sse import encode_event
from deepspace.kit.web import bearer
from deepspace.pipeline.exchange import ChatCall, Exchange
from deepspace.pipeline.operation import EVENTS, Operation
from deepspace.pipeline.wording_of_operations import is_json

Parser = Callable[[bytes, Scope], ChatCall]


def call_of(
    model: str,
    body: bytes,
    operation: Operation,
    *,
    fields: Mapping[str, Any] | None = None,
    stream: bool = False,
) -> ChatCall:
    """Return the call that asks for an operation."""
    return ChatCall(
        model=model,
        stream=stream,
        wants_usage=True,
        max_tokens=0,
        choices=1,
        body=body,
        fields=fields or {},
        operation=operation,
    )


class OperationDialect:
    """The Dialect of one address; see gateway/dialect.py."""

    heartbeat = b""
    """A comment can stand in no answer of bytes, so nothing is sent in a silence."""

    def __init__(self, parse: Parser) -> None:
        """Read requests with `parse`."""
        self._parse = parse
        self._encoder = OperationEncoder()

    def credential(self, scope: Scope) -> str | None:
        """Return the bearer token."""
        return bearer(header(scope, b"authorization"))

    def parse(self, body: bytes, scope: Scope) -> ChatCall:
        """Read a request; see gateway/dialect.py."""
        return self._parse(body, scope)

    def encoder(self) -> OperationEncoder:
        """Return what writes the answer: it keeps nothing."""
        return self._encoder


class OperationEncoder:
    """The Encoder of these addresses; see pipeline/exchange.py. They are never translated."""

    content_type = "application/json"

    def inner(self, call: ChatCall) -> Mapping[str, Any]:
        """Return the client's fields."""
        return call.fields

    def frame(self, x: Exchange, data: bytes) -> bytes:
        """Return nothing: there are no chunks of another dialect."""
        return b""

    def whole(self, x: Exchange) -> bytes:
        """Return the provider's bytes, with the cost in the usage of a JSON answer."""
        answer, operation = x.answer or b"", x.call.operation
        if not is_json(x.content_type) or (operation is not None and operation.is_passed_through):
            return answer
        return with_cost(answer, _cost(x), _counted(x))

    def tail(self, x: Exchange, error: PlatformError | None) -> bytes:
        """Return the events that waited for the books, or an error event; nothing at the end of bytes."""
        if error is None:
            return b"".join([event.raw for event in x.held])
        is_events = (x.content_type or "").startswith(EVENTS)
        return encode_event(error_body(error, x.trace_id), b"error") if is_events else b""

    def error(self, x: Exchange, error: PlatformError) -> bytes:
        """Return the error object."""
        return error_body(error, x.trace_id)


def _cost(x: Exchange) -> dict[str, Any]:
    if x.cost_nano is None or x.price is None:
        return {}
    return {"cost": decimal_from_nano(x.cost_nano), "currency": x.price.currency}


def _counted(x: Exchange) -> dict[str, Any]:
    """Return the usage that was charged where the provider's answer states none."""
    if x.charged_usage is None:
        return {}
    asked, told = x.charged_usage.input_total, x.charged_usage.output_total
    marked = {"estimated": True} if x.usage_source != "reported" else {}
    return {"prompt_tokens": asked, "total_tokens": asked + told, **marked}
