"""What stands between the pipeline, which must finish, and the client, who may be slow or gone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from deepspace.kit.errors import PlatformError
from deepspace.pipeline.exchange import Presence

BUFFER_BYTES = 256 * 1024
WRITE_TIMEOUT_S = 30.0


class Delivery:
    """A bounded buffer of frames. A client that reads nothing for WRITE_TIMEOUT_S counts as gone.

    One timer serves all heartbeats: it is moved only when it fires, or when it would fire too late. So a
    stream that flows sets one timer in all.
    """

    __slots__ = (
        "_buffered",
        "_closed",
        "_due",
        "_error",
        "_frames",
        "_presence",
        "_reader",
        "_timer",
        "_writer",
    )

    def __init__(self, presence: Presence) -> None:
        """Start empty, before the first frame."""
        self._frames: deque[bytes] = deque()
        self._buffered = 0
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")
        self._closed = False
        self._error: PlatformError | None = None
        self._presence = presence
        presence.when_gone(self._let_write)

    # the pipeline's side

    async def put(self, frame: bytes) -> None:
        """Hand a frame over; waits while the buffer is full, drops it when the client is gone."""
        if self._buffered >= BUFFER_BYTES and not self._presence.gone.is_set():
            self._writer = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await self._writer
            except TimeoutError:
                self._presence.leave()
        if self._presence.gone.is_set():
            self._frames.clear()
            return
        self._frames.append(frame)
        self._buffered += len(frame)
        self._wake_reader()

    def close(self, error: PlatformError | None = None) -> None:
        """Say that the call is settled and nothing more will come; `error` says why it ended badly."""
        self._closed = True
        self._error = error
        if self._timer is not None:
            self._timer.cancel()
        self._wake_reader()

    def _let_write(self) -> None:
        if self._writer is not None and not self._writer.done():
            self._writer.set_result(None)

    # the client's side

    async def started(self, timeout_s: float | None = None) -> bool:
        """Wait for the first frame or the end; False if neither came in time."""
        return bool(self._frames) or self._closed or await self._news(timeout_s)

    @property
    def settled(self) -> bool:
        """Whether the call has come to its end, books included."""
        return self._closed

    @property
    def refusal(self) -> PlatformError | None:
        """Return the error of a call that ended before its first frame."""
        return self._error if self._closed and not self._frames else None

    @property
    def error(self) -> PlatformError | None:
        """Return the error of a call that has ended."""
        return self._error

    async def frames(self, heartbeat_s: float) -> AsyncIterator[bytes | None]:
        """Yield frames as they come, and None after each `heartbeat_s` of silence; ends when settled."""
        while True:
            while self._frames:
                frame = self._frames.popleft()
                self._buffered -= len(frame)
                if self._buffered < BUFFER_BYTES:
                    self._let_write()
                yield frame
            if self._closed:
                return
            if not await self._news(heartbeat_s):
                yield None

    async def _news(self, within_s: float | None) -> bool:
        """Wait for a frame or the end; False after `within_s` seconds of neither."""
        loop = asyncio.get_running_loop()
        if within_s is not None:
            self._due = loop.time() + within_s
            if self._timer is None or self._timer.when() > self._due:
                self._set_timer(loop)
        self._reader = loop.create_future()
        try:
            await self._reader
        finally:
            self._reader, self._due = None, float("inf")
        return bool(self._frames) or self._closed

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._due, self._on_timer, loop)

    def _on_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._reader is None:
            return  # who waits next sets it again
        if loop.time() < self._due:
            self._set_timer(loop)
        else:
            self._wake_reader()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
