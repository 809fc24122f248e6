"""Answers of the Responses API: always translated, for no channel speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from deepspace.gateway.openai.errors import error_body, error_fields
from deepspace.gateway.responses.answer import ended, output_of, response_of, response_usage, wants_reasoning
from deepspace.gateway.responses.request import chat_request
from deepspace.gateway.responses.stream import EventsOfChunks
from deepspace.kit.errors import PlatformError
from deepspace.kit.money import decimal_from_nano
from deepspace.pipeline.exchange import ChatCall, Exchange
from deepspace.upstream.anthropic.words import JSON, fields_of, object_of, objects_of

_FAILURES = {400: "invalid_prompt", 429: "rate_limit_exceeded"}
"""Status → the word of the Responses API for what went wrong; any other one is its `server_error`."""


class ResponsesEncoder:
    """The Encoder of this dialect, for one call; see pipeline/exchange.py."""

    content_type = "application/json"

    def __init__(self) -> None:
        """Nothing was written yet."""
        self._events: EventsOfChunks | None = None
        self._completed_at: int | None = None

    def inner(self, call: ChatCall) -> Mapping[str, Any]:
        """Return the call as a chat request."""
        return chat_request(fields_of(call.fields))

    def frame(self, x: Exchange, data: bytes) -> bytes:
        """Return the events that a chunk becomes."""
        return self._stream(x).take(data)

    def whole(self, x: Exchange) -> bytes:
        """Return the response with the cost in its usage."""
        chat = object_of(msgspec.json.decode(x.answer or b"{}"))
        choice: JSON = next(iter(objects_of(chat.get("choices"))), dict[str, Any]())
        output = output_of(choice, x.trace_id, sealed=wants_reasoning(x.call.fields))
        return msgspec.json.encode(
            self._ended(x, chat.get("model"), output, str(choice.get("finish_reason")))
        )

    def tail(self, x: Exchange, error: PlatformError | None) -> bytes:
        """Return the end of a stream: the response with usage and cost, or as failed.

        A failure is told twice: `response.failed` is the API's own word for it, and the `error` event makes
        clients that only look for errors raise one.
        """
        stream = self._stream(x)
        model = stream.model
        if error is None:

            def finished(output: list[JSON]) -> tuple[str, JSON]:
                response = self._ended(x, model, output, stream.finish)
                return f"response.{response['status']}", {"response": response}

            return stream.end(finished)
        told = error_fields(error, x.trace_id)

        def failed(output: list[JSON]) -> tuple[str, JSON]:
            why = {"code": _FAILURES.get(error.status, "server_error"), "message": error.message}
            response = {**self._begun(x), "status": "failed", "error": why, "output": output}
            return "response.failed", {"response": {**response, "model": model or x.call.model}}

        flat = {name: told[name] for name in ("code", "message", "param")}
        return stream.end(failed, ("error", {**flat, "error": told}))

    def error(self, x: Exchange, error: PlatformError) -> bytes:
        """Return the error object."""
        return error_body(error, x.trace_id)

    def _stream(self, x: Exchange) -> EventsOfChunks:
        if self._events is None:
            sealed = wants_reasoning(x.call.fields)
            self._events = EventsOfChunks(self._begun(x), x.trace_id, sealed=sealed)
        return self._events

    def _begun(self, x: Exchange) -> JSON:
        return response_of(fields_of(x.call.fields), x.trace_id, int(x.started_at.timestamp()))

    def _ended(self, x: Exchange, model: Any, output: list[JSON], finish: str) -> JSON:
        if self._completed_at is None:  # written once: the answer that is kept is the answer that is sent
            self._completed_at = int(x.clock.now().timestamp())
        begun = {**self._begun(x), "model": model or x.call.model}
        return ended(begun, output, finish, usage=_usage(x), at=self._completed_at)


def _usage(x: Exchange) -> JSON | None:
    """Return the usage that was charged, with its cost; None if nothing was."""
    if x.charged_usage is None:
        return None
    usage = response_usage(x.charged_usage)
    if x.usage_source != "reported":
        usage["estimated"] = True
    if x.cost_nano is not None and x.price is not None:
        usage |= {"cost": decimal_from_nano(x.cost_nano), "currency": x.price.currency}
    return usage
