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
    """A bounded buffer of frames. A client that reads nothing for WRITE_TIMEOUT_S counts as gone."""

    __slots__ = (
        "_buffered",
        "_closed",
        "_error",
        "_frames",
        "_presence",
        "_readable",
        "_started",
        "_writable",
    )

    def __init__(self, presence: Presence) -> None:
        """Start empty, before the first frame."""
        self._frames: deque[bytes] = deque()
        self._buffered = 0
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._started = asyncio.Event()
        self._closed = False
        self._error: PlatformError | None = None
        self._presence = presence
        presence.when_gone(self._writable.set)

    # the pipeline's side

    async def put(self, frame: bytes) -> None:
        """Hand a frame over; waits while the buffer is full, drops it when the client is gone."""
        if self._buffered >= BUFFER_BYTES and not self._presence.gone.is_set():
            self._writable.clear()
            try:
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await self._writable.wait()
            except TimeoutError:
                self._presence.leave()
        if self._presence.gone.is_set():
            self._frames.clear()
            return
        self._frames.append(frame)
        self._buffered += len(frame)
        self._readable.set()
        self._started.set()

    def close(self, error: PlatformError | None = None) -> None:
        """Say that the call is settled and nothing more will come; `error` says why it ended badly."""
        self._closed = True
        self._error = error
        self._readable.set()
        self._started.set()

    # the client's side

    async def started(self, timeout_s: float | None = None) -> bool:
        """Wait for the first frame or the end; False if neither came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._started.wait()
        except TimeoutError:
            return False
        return True

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
                    self._writable.set()
                yield frame
            if self._closed:
                return
            self._readable.clear()
            try:
                async with asyncio.timeout(heartbeat_s):
                    await self._readable.wait()
            except TimeoutError:
                yield None
