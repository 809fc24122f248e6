"""Raw ASGI, typed: reading a bounded body, sending whole answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from deepspace.kit.errors import BodyTooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]


_FIRST = "deepspace.first_headers"
"""Where a request keeps the first value of each of its headers: a call asks for seven."""


class ClientDisconnected(Exception):
    """The client closed the connection before the request was complete."""


class AnswerBroken(ClientDisconnected):
    """The answer broke off after it had begun; the server closes the connection."""


def header(scope: Scope, name: bytes) -> str | None:
    """Return the first header of a lower-case name."""
    first: dict[bytes, bytes] | None = scope.get(_FIRST)
    if first is None:
        first = scope[_FIRST] = dict(reversed(scope["headers"]))
    value = first.get(name)
    return value.decode("latin-1") if value is not None else None


def header_list(scope: Scope, name: bytes) -> str | None:
    """Return every header of a lower-case name, joined by commas in their order (RFC 9110, 5.3)."""
    found = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return ",".join(found) if found else None


def peer(scope: Scope) -> str:
    """Return the address of the other end of the connection; empty on a Unix socket."""
    client = scope.get("client")
    return client[0] if client is not None else ""


def bounded(scope: Scope, receive: Receive, limit: int) -> Receive:
    """Return a `receive` that raises BodyTooLarge as soon as the body is known to be over `limit` bytes; a
    body declared so is refused here."""
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge(f"The body may have at most {limit} bytes.")
    size = 0

    async def receive_within() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise BodyTooLarge(f"The body may have at most {limit} bytes.")
        return message

    return receive_within


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Return the whole request body, or raise BodyTooLarge as soon as it is known to be over `limit`
    bytes."""
    receive_within = bounded(scope, receive, limit)
    parts: list[bytes] = []
    while True:
        message = await receive_within()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def send_whole(
    send: Send, status: int, body: bytes, content_type: bytes, headers: Headers = ()
) -> None:
    """Send a complete answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", content_type),
                (b"content-length", str(len(body)).encode()),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


JSON = b"application/json"


async def send_json(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    """Send a complete JSON answer."""
    await send_whole(send, status, body, JSON, headers)
