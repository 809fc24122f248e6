"""The connections there are: used again, newest first, and never more than a bound."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from deepspace.upstream.http.connection import READ_BYTES, Connection
from deepspace.upstream.http.dialling import Dialler
from deepspace.upstream.http.head import Origin


class Pool:
    """Connections by origin. Who finds none free and no room waits in line."""

    def __init__(self, dialler: Dialler, limit: int) -> None:
        """At most `limit` connections at a time, kept ones included."""
        self.read_buffer = memoryview(bytearray(READ_BYTES))
        self._dialler = dialler
        self._limit = limit
        self._idle: dict[Origin, list[Connection]] = {}
        self._all: set[Connection] = set()
        self._dialling = 0
        self._emptied = asyncio.Event()
        self._line: deque[asyncio.Future[None]] = deque()

    def kept(self, origin: Origin) -> Connection | None:
        """Return a kept connection that the provider has not closed; None if there is none."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_fresh():
                return connection
            connection.abort()
        return None

    async def open(self, origin: Origin) -> Connection:
        """Return a connection, a new one if need be; OSError if none can be had. Bounded by the caller."""
        while True:
            connection = self.kept(origin)
            if connection is not None:
                return connection
            if len(self._all) + self._dialling < self._limit or self._make_room():
                break
            await self._stand_in_line()
        self._dialling += 1
        try:
            connection = await self._dialler.dial(origin, self)
            self._all.add(connection)
            self._emptied.clear()
        finally:
            self._dialling -= 1
            self._next()
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection for the next request; see connection.Owner."""
        if connection in self._all:
            self._idle.setdefault(connection.origin, []).append(connection)
            self._next()

    def forget(self, connection: Connection) -> None:
        """A connection is gone; see connection.Owner."""
        self._all.discard(connection)
        if not self._all:
            self._emptied.set()
        with suppress(KeyError, ValueError):
            idle = self._idle[connection.origin]
            idle.remove(connection)
            if not idle:
                del self._idle[connection.origin]
        self._next()

    async def close(self) -> None:
        """Close every connection."""
        for connection in list(self._all):
            connection.abort()
        if self._all:
            await self._emptied.wait()

    def _make_room(self) -> bool:
        """Close a connection that is kept for another origin, the one unused for longest there; False if
        there is none."""
        for idle in self._idle.values():
            if idle:
                connection = idle.pop(0)
                self._all.discard(connection)
                connection.abort()
                return True
        return False

    async def _stand_in_line(self) -> None:
        place = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            with suppress(ValueError):
                self._line.remove(place)
            if place.done() and not place.cancelled():
                self._next()  # its turn goes to the one behind
            raise

    def _next(self) -> None:
        while self._line:
            place = self._line.popleft()
            if not place.done():
                place.set_result(None)
                return
