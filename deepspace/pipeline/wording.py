"""How a call is said to a channel, and how its answer is read: as it came where both sides speak one dialect,
through the inner language where they do not."""

from __future__ import annotations

from typing import Any

import msgspec

from deepspace.billing.rates import Usage
from deepspace.kit.sse import SseEvent, encode_event
from deepspace.pipeline.exchange import Exchange
from deepspace.upstream.anthropic.answer import chat_answer, read_message
from deepspace.upstream.anthropic.native import NativeStream, native_request, read_native_answer
from deepspace.upstream.anthropic.request import messages_request
from deepspace.upstream.anthropic.stream import ChunksOfEvents, read_event
from deepspace.upstream.anthropic.words import fields_of
from deepspace.upstream.catalogue import Route
from deepspace.upstream.errors import UpstreamError
from deepspace.upstream.wire import Seen, only_adds_text, read_answer

INNER = "openai"


def request_for(x: Exchange, route: Route) -> tuple[str, dict[str, str], bytes]:
    """Return path, headers and body of the call for a channel; Untranslatable if its dialect cannot say it.

    Within a dialect the body is the client's with the smallest edit.
    """
    headers = dict(route.extra_headers)
    headers["accept"] = "text/event-stream" if x.call.stream else "application/json"
    limit = min(x.max_output_tokens, route.max_output_tokens)
    if route.dialect == INNER:
        return "/chat/completions", headers, msgspec.json.encode(_chat_fields(x, route, limit))
    if route.dialect == x.call.dialect:
        headers.update(x.call.headers)
        fields = native_request(x.call.fields, model=route.upstream_model, max_tokens=limit)
    else:
        chat = fields_of(x.encoder.inner(x.call))
        fields = messages_request(chat, model=route.upstream_model, max_tokens=limit)
    return "/messages", headers, msgspec.json.encode(fields)


def _chat_fields(x: Exchange, route: Route, limit: int) -> dict[str, Any]:
    """Return the call in the inner language, with the provider's name of the model, the bounded output limit,
    and usage asked for in streams."""
    fields = dict(x.encoder.inner(x.call))
    fields["model"] = route.upstream_model
    name = (
        "max_completion_tokens"
        if "max_completion_tokens" in fields or route.kind == "openai"
        else "max_tokens"
    )
    fields.pop("max_tokens", None)
    fields[name] = limit
    if x.call.stream:
        options = msgspec.json.decode(fields["stream_options"]) if "stream_options" in fields else None
        fields["stream_options"] = {**(options or {}), "include_usage": True}
    return fields


class StreamReader:
    """Reads the events of one channel's stream and puts frames for the client beside them."""

    __slots__ = ("_chunks", "_native", "_translated", "_x")

    def __init__(self, x: Exchange, route: Route) -> None:
        """Read what `route` sends in answer to `x`."""
        self._x = x
        self._native: NativeStream | None = None
        self._chunks: ChunksOfEvents | None = None
        self._translated = x.call.dialect != INNER
        if route.dialect != INNER and route.dialect == x.call.dialect:
            self._native = NativeStream()
            x.is_native, x.held = True, self._native.held
        elif route.dialect != INNER:
            self._chunks = ChunksOfEvents(int(x.started_at.timestamp()))

    def take(self, event: SseEvent, frames: list[bytes]) -> bool:
        """Note what an event says and pass it on; what states the end waits for the books. Returns: the
        answer is complete."""
        if self._chunks is not None:
            finished = False
            for chunk in self._chunks.take(read_event(event.data)):
                data = msgspec.json.encode(chunk)
                finished |= self._take_chunk(SseEvent(encode_event(data), data, b""), frames)
            return finished
        if self._native is None:
            return self._take_chunk(event, frames)
        seen, passed = self._native.take(event)
        _note(self._x, seen)
        frames += [one.raw for one in passed]
        return seen.finished

    def end(self, frames: list[bytes]) -> None:
        """The stream has ended: pass on what waits. Here nothing does."""

    def _take_chunk(self, event: SseEvent, frames: list[bytes]) -> bool:
        x = self._x
        if not self._translated and only_adds_text(event.data):
            x.unread.append(event.data)
            x.last_event = event.data
            frames.append(event.raw)
            return False
        seen = read_answer(event.data)
        _note(x, seen)
        if seen.usage is not None and not seen.has_choices:
            x.usage_event = event.data
            return True
        x.last_event = event.data
        frame = x.encoder.frame(x, event.data) if self._translated else event.raw
        if frame:
            frames.append(frame)
        return seen.finished


def read_whole(x: Exchange, route: Route, payload: bytes) -> None:
    """Note what a whole answer says and put it on the exchange, in the client's own dialect if the channel
    speaks it, else in the inner language; UpstreamError if it is none."""
    if route.dialect == INNER:
        seen = read_answer(payload)
    elif route.dialect == x.call.dialect:
        seen, x.is_native = read_native_answer(payload), True
    else:
        payload = msgspec.json.encode(chat_answer(read_message(payload), int(x.started_at.timestamp())))
        seen = read_answer(payload)
    _note(x, seen)
    if not seen.has_choices:
        raise UpstreamError("The provider's answer has no choices.")
    x.answer = payload


def _note(x: Exchange, seen: Seen) -> None:
    """Note usage and text; UpstreamError if the provider reports an error."""
    if seen.error is not None:
        raise UpstreamError(f"The provider reported an error: {seen.error}")
    classes = seen.usage.classes() if seen.usage is not None else None
    if classes is not None:
        x.usage = Usage(**classes)
    if seen.text:
        x.delivered.append(seen.text)
