"""How uvicorn speaks HTTP here: what one turn of the loop writes leaves as one packet, and who leaves is told
of without a task that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from deepspace.gateway.asgi import Scope

FLUSH_BYTES = 64 * 1024
"""From here on a write goes out at once, so that the transport can say that the client is slow."""

LINGER_S = 0.5
"""How long a server that stops waits on each connection for a request that may be on its way."""

MAX_HEAD_BYTES = 64 * 1024
CONNECTION_LIMIT = "deepspace.connection_limit"
"""In the state of the lifespan: connections past it are refused before a request is read."""

_ONE_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)
_DEPARTURES = "deepspace.departures"
_LEAVING = "deepspace.leaving"


class Departures:
    """Who wants to know that a client has left, and whether it has."""

    __slots__ = ("callbacks", "gone")

    def __init__(self) -> None:
        """The client is there."""
        self.callbacks: list[Callable[[], object]] = []
        self.gone = False

    def tell(self) -> None:
        """The client has left."""
        self.gone = True
        for callback in list(self.callbacks):
            callback()


class CorkedTransport:
    """A transport that joins the writes of one turn of the event loop: a head and its body, or several events
    of a stream. A write is a system call, and a call to the kernel costs more than anything a stream's event
    needs of this process (docs/performance.md)."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Write to this transport."""
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's own affair."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write at the end of this turn of the loop."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size >= FLUSH_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what waits, then close."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._waiting:
            data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
            self._waiting.clear()
            self._size = 0
            if not self._transport.is_closing():
                self._transport.write(data)


class GatewayProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a corked transport; `scope["extensions"]` lets an endpoint be told of a
    departure (see `on_departure`). A server that stops closes no connection that a request may be on its way
    on; uvicorn's own closes at once."""

    _began = 0.0
    _head_bytes = 0

    def connection_made(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, transport: asyncio.Transport
    ) -> None:
        """Take the transport."""
        self._departures = Departures()
        self.awaits_head_since: float | None = self.loop.time()
        self.stuck_since: float | None = None
        super().connection_made(cast("asyncio.Transport", CorkedTransport(transport, self.loop)))
        limit = self.app_state.get(CONNECTION_LIMIT)
        if limit is not None and len(self.connections) > limit:
            transport.write(_ONE_TOO_MANY)  # past the limit there is not even a request to be refused
            transport.close()

    @property
    def awaits_body_since(self) -> float | None:
        """See connections.Client."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        waits = cycle is not None and cycle.more_body and not cycle.response_complete
        return self._began if waits and self.awaits_head_since is None else None

    def drop(self) -> None:
        """See connections.Client."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that does not end is not waited for."""
        super().data_received(data)
        if self.awaits_head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")

    def pause_writing(self) -> None:
        """Note since when the client does not read."""
        self.stuck_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client reads again."""
        self.stuck_since = None
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of the departure."""
        super().connection_lost(exc)
        self._departures.tell()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._began = self.awaits_head_since = self.loop.time()
        self._head_bytes = 0
        super().on_message_begin()
        self.scope["extensions"] = cast("Any", {_DEPARTURES: self._departures})

    def on_headers_complete(self) -> None:
        """Start the request. Where the server stops, its answer tells the client to connect again."""
        self.awaits_head_since = None
        super().on_headers_complete()
        if _LEAVING in self.app_state:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """End the request. Where the server stops, the answer may have begun before that, and have promised
        another."""
        if _LEAVING in self.app_state:
            self.timeout_keep_alive = LINGER_S
        super().on_response_complete()

    def shutdown(self) -> None:
        """Begin to leave. A request may be on its way here, so the connection stays open for a moment, and
        what arrives is answered with `connection: close` (RFC 9112, section 9.6)."""
        self.app_state[_LEAVING] = True
        cycle = cast("RequestResponseCycle | None", self.cycle)  # none before the first request
        if cycle is None or cycle.response_complete:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(LINGER_S, self.timeout_keep_alive_handler)
        elif not cycle.response_started:
            cycle.keep_alive = False


@contextmanager
def on_departure(scope: Scope, callback: Callable[[], object]) -> Generator[bool]:
    """Have `callback` called if the client has closed the connection, or does so within the block. Yields
    False if this server cannot tell; `receive` is then the way to know."""
    departures: Departures | None = scope.get("extensions", {}).get(_DEPARTURES)
    if departures is None:
        yield False
        return
    departures.callbacks.append(callback)
    if departures.gone:
        callback()
    try:
        yield True
    finally:
        departures.callbacks.remove(callback)
