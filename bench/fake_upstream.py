"""A provider that costs next to nothing: asyncio Protocol, httptools, uvloop, in a process of its own.

`python -m bench.fake_upstream` prints its port and serves until it is ended. A request with `"stream":true`
gets one SSE event per turn of the event loop (so each travels as a packet of its own unless the reader is
slow), or one every SLOW_EVERY_S if it is marked so, any other the whole answer at once.
"""

from __future__ import annotations

import asyncio
from typing import cast

import httptools
import uvloop

from bench.exchanges import SLOW_EVERY_S, SLOW_MARK, UPSTREAM_EVENTS, UPSTREAM_JSON

_WHOLE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(UPSTREAM_JSON)
    + UPSTREAM_JSON
)
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_PIECES = (
    _HEAD,
    *(b"%x\r\n%s\r\n" % (len(event), event) for event in UPSTREAM_EVENTS[:-1]),
    b"%x\r\n%s\r\n0\r\n\r\n" % (len(UPSTREAM_EVENTS[-1]), UPSTREAM_EVENTS[-1]),
)


class Provider(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        """Wait for the first request."""
        self._loop = asyncio.get_running_loop()
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read requests from a new connection."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the methods below."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Collect the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Answer."""
        body, self._body = self._body, b""
        if b'"stream":true' in body:
            self._piece(0, SLOW_EVERY_S if SLOW_MARK in body else 0)
        else:
            self._transport.write(_WHOLE)

    def _piece(self, number: int, every_s: float) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(_PIECES[number])
        if number + 1 < len(_PIECES):
            self._loop.call_later(every_s, self._piece, number + 1, every_s)


async def serve() -> None:
    """Listen on a free port of the loopback and say which."""
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
