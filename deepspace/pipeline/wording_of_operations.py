"""How a call that is no chat is said to a channel, and how its answer is read: the client's bytes with the
provider's name of the model, and the provider's bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec

from deepspace.billing.rates import Usage
from deepspace.kit.errors import PlatformError
from deepspace.kit.sse import SseEvent, SseScanner
from deepspace.pipeline.exchange import Exchange
from deepspace.pipeline.operation import EVENTS, JSON, Operation
from deepspace.upstream.catalogue import Route
from deepspace.upstream.client import Response
from deepspace.upstream.errors import UpstreamError
from deepspace.upstream.usage_forms import usage_classes
from deepspace.upstream.wire import error_message, estimate_tokens

_fields_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NOTHING = msgspec.Raw(b"")

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Of JSON in answer to a call that asked for a stream."""

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Of one event: there may be an image in it."""


def operation_request(operation: Operation, x: Exchange, route: Route) -> tuple[str, dict[str, str], bytes]:
    """Return path, headers and body for a channel: the client's, with the provider's name of the model."""
    headers = {**dict(route.extra_headers), "accept": "*/*", "content-type": operation.content_type}
    fields = {**x.call.fields, "model": route.upstream_model}
    if operation.form is None:
        return operation.path, headers, msgspec.json.encode(fields)
    texts = {
        name: msgspec.json.decode(text, type=str) if isinstance(text, msgspec.Raw) else text
        for name, text in fields.items()
    }
    return operation.path, headers, operation.form.with_texts(texts)


def begin_answer(operation: Operation, x: Exchange, response: Response) -> None:
    """Note what kind of answer it is; UpstreamError if it can be none to this call."""
    stated = response.headers.get("content-type", "application/octet-stream")
    kind = _media_type(stated)
    if "html" in kind or not kind.startswith(operation.answer_types):  # a page is some proxy's word
        raise UpstreamError("The provider's answer is not of a kind that belongs to this address.")
    x.content_type = stated


def read_operation(operation: Operation, x: Exchange, payload: bytes) -> None:
    """Note what a whole answer says and put it on the exchange; UpstreamError if it is none."""
    told: bytes | msgspec.Raw = payload
    if operation.is_passed_through:
        _note_if_object(operation, x, payload)
    elif is_json(x.content_type):
        fields = _object(payload)
        _note(operation, x, fields)
        if operation.answers_with and not any(name in fields for name in operation.answers_with):
            raise UpstreamError(f"The provider's answer has no '{operation.answers_with[0]}'.")
        told = fields.get("text", _NOTHING)
    if "text" in operation.answers_with:
        x.delivered.append(bytes(told).decode(errors="replace"))
    x.answer = payload


async def relay(operation: Operation, x: Exchange, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield an answer as it comes. Events are looked through for usage: from the one that states it on they
    wait for the books."""
    if is_json(x.content_type):  # in one piece all the same: not every provider streams
        payload = await _joined(chunks)
        read_operation(operation, x, payload)
        yield payload
        return
    scanner = SseScanner(MAX_EVENT_BYTES) if _media_type(x.content_type or "").startswith(EVENTS) else None
    async for chunk in chunks:
        if scanner is None:
            x.last_event = b""
            yield chunk
            continue
        frames: list[bytes] = []
        fault: PlatformError | None = None
        try:
            for event in scanner.feed(chunk):
                _take(operation, x, event, frames)
        except PlatformError as error:
            fault = error
        if frames:
            yield b"".join(frames)
        if fault is not None:
            raise fault
    rest = scanner.finish() if scanner is not None else None
    if rest is not None:
        frames = []
        _take(operation, x, rest, frames)
        for frame in frames:
            yield frame.rstrip(b"\r\n") + b"\n\n"


def counted(operation: Operation, x: Exchange) -> Usage | None:
    """Return what is charged without reported usage; None if nothing was delivered."""
    if x.answer is None and x.last_event is None:
        return None
    told = min(estimate_tokens(x.text()), x.max_output_tokens)
    return msgspec.structs.replace(operation.counted, output=operation.counted.output + told)


def is_json(content_type: str | None) -> bool:
    """Tell whether a media type is JSON."""
    kind = _media_type(content_type or "")
    return kind == JSON or kind.endswith("+json")


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _object(payload: bytes) -> dict[str, msgspec.Raw]:
    try:
        payload.decode()
        return _fields_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamError("The provider's answer is not a JSON object.") from None


async def _joined(chunks: AsyncIterator[bytes]) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise UpstreamError("The provider's answer is larger than this server accepts.")
    return b"".join(parts)


def _take(operation: Operation, x: Exchange, event: SseEvent, frames: list[bytes]) -> None:
    _note_if_object(operation, x, event.data)
    if x.held or x.usage is not None:
        x.held.append(event)
    else:
        x.last_event = event.data
        frames.append(event.raw)


def _note_if_object(operation: Operation, x: Exchange, data: bytes) -> None:
    """Note what a JSON object says, and nothing of data in another form."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _note(operation, x, _fields_decoder.decode(data))


def _note(operation: Operation, x: Exchange, fields: dict[str, msgspec.Raw]) -> None:
    """Note usage; UpstreamError if the provider reports an error."""
    error = fields.get("error")
    if error is not None and bytes(error) != b"null":
        raise UpstreamError(f"The provider reported an error: {error_message(msgspec.json.encode(fields))}")
    classes = usage_classes(fields, operation.produces)
    if classes is not None:
        x.usage = Usage(**classes)
