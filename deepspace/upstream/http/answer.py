"""One answer: fed by its connection, read by the call. Between the two stands a bounded buffer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from deepspace.kit.errors import PlatformError
from deepspace.upstream.catalogue import Timeouts
from deepspace.upstream.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from deepspace.upstream.http.decoding import decoder_for

HIGH_WATER_BYTES = 128 * 1024
"""From here on the connection is not read until the reader has taken what there is. One more read of the
socket (connection.READ_BYTES) may come on top."""

MAX_BODY_BYTES = 1024 * 1024 * 1024
"""Most bytes of one answer; what a call makes of them has narrower limits of its own."""


class Line(Protocol):
    """What an answer asks of its connection."""

    def expect_by(self, due: float) -> None:
        """Say by when, on the loop's clock, the next thing must come."""
        ...

    def pause(self) -> None:
        """Stop reading."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Answer:
    """The Response of upstream/client.py. One task reads it."""

    __slots__ = (
        "_buffered",
        "_ended",
        "_error",
        "_fields",
        "_first_byte_at",
        "_headers",
        "_idle_s",
        "_line",
        "_loop",
        "_parts",
        "_paused",
        "_received",
        "_timeouts",
        "_total_at",
        "_waiter",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, timeouts: Timeouts, started: float) -> None:
        """A request that was begun at `started` on the loop's clock; it has no connection yet."""
        self._loop = loop
        self._timeouts = timeouts
        self._idle_s = timeouts.idle_s
        self._total_at = started + timeouts.total_s
        self._first_byte_at = started + timeouts.first_byte_s
        self._line: Line | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._parts: list[bytes] = []
        self._buffered = self._received = 0
        self._paused = self._ended = False
        self._error: PlatformError | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._headers: dict[str, str] | None = None
        self.status = 0

    # the connection's side

    def sent_on(self, line: Line) -> None:
        """The request has gone out on this connection."""
        self._line = line

    def begin(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """The head has come."""
        self.status, self._fields = status, fields
        self._wake()

    def put(self, data: bytes) -> None:
        """More of the body has come."""
        self._parts.append(data)
        self._buffered += len(data)
        self._received += len(data)
        line = self._line
        if line is not None and self._received > MAX_BODY_BYTES:
            self.fail(UpstreamError("The provider's answer is larger than this server accepts."))
            line.abort()
        elif line is not None and self._buffered >= HIGH_WATER_BYTES and not self._paused:
            self._paused = True
            line.pause()
        self._wake()

    def end(self) -> None:
        """The body is complete; the connection serves others from here on."""
        self._ended, self._line = True, None
        self._wake()

    def fail(self, error: PlatformError) -> None:
        """Nothing more will come. What has come before can still be read."""
        if not self._ended:
            self._ended, self._line = True, None
            self._error = error
            self._wake()

    def expire(self) -> None:
        """The time that `expect_by` named has come."""
        if self._loop.time() >= self._total_at:
            said = f"The provider's answer took longer than {self._timeouts.total_s:g} s."
        elif self.status:
            said = f"The provider sent nothing for {self._idle_s:g} s."
        else:
            said = None
        self.fail(UpstreamTimeout(said))

    # the reader's side

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields by lower-case name; repeated ones are joined by commas (RFC 9110, 5.3)."""
        if self._headers is None:
            found: dict[str, str] = {}
            for raw_name, raw_value in self._fields:
                name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
                found[name] = f"{found[name]}, {value}" if name in found else value
            self._headers = found
        return self._headers

    async def head(self) -> None:
        """Wait for the head."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait(self._first_byte_at)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives; see Response.chunks."""
        decoder = decoder_for(self._encoding())
        while True:
            data = await self._read()
            if decoder is None:
                if not data:
                    return
                yield data
                continue
            for piece in decoder.feed(data):
                yield piece
            if not data:
                rest = decoder.finish()
                if rest:
                    yield rest
                return

    def abort(self) -> None:
        """Close the connection at once; see Response.abort."""
        line = self._line
        self._parts.clear()
        self.fail(UpstreamUnavailable("The connection to the provider was given up."))
        if line is not None:
            line.abort()

    async def close(self) -> None:
        """See Response.close: a connection whose answer has come whole serves others already."""
        if not self._ended:
            self.abort()

    def _encoding(self) -> str | None:
        for name, value in self._fields:
            if len(name) == len(b"content-encoding") and name.lower() == b"content-encoding":
                return value.decode("latin-1")
        return None

    async def _read(self) -> bytes:
        """Return all that has come since the last time; empty at the end."""
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._ended:
                return b""
            await self._wait(self._loop.time() + self._idle_s)
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._buffered = 0
        if self._paused:
            self._paused = False
            if self._line is not None:
                self._line.resume()
        return data

    async def _wait(self, due: float) -> None:
        if self._line is not None:
            self._line.expect_by(min(due, self._total_at))
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            if self._line is not None:  # while the reader is busy, only the whole time counts
                self._line.expect_by(self._total_at)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
