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

    def connection_made(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, transport: asyncio.Transport
    ) -> None:
        """Take the transport."""
        self._departures = Departures()
        super().connection_made(cast("asyncio.Transport", CorkedTransport(transport, self.loop)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of the departure."""
        super().connection_lost(exc)
        self._departures.tell()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope["extensions"] = cast("Any", {_DEPARTURES: self._departures})

    def on_headers_complete(self) -> None:
        """Start the request. Where the server stops, its answer tells the client to connect again."""
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
