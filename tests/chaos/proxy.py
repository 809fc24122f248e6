"""A TCP proxy in front of PostgreSQL that cuts the connection exactly where a test says."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Literal

Moment = Literal["before", "after"]


class CuttingProxy:
    """Listens on loopback and passes bytes to PostgreSQL's Unix socket.

    `arm("before", b"COMMIT")`: the next message with these bytes is not passed on, the connection is reset.
    `arm("after", …)`: it is passed on, PostgreSQL's answer is swallowed, then the connection is reset.
    """

    def __init__(self, socket_dir: Path) -> None:
        """`socket_dir` is where PostgreSQL's socket is."""
        self._target = str(socket_dir / ".s.PGSQL.5432")
        self._moment: Moment | None = None
        self._mark = b""
        self._tasks: set[asyncio.Task[None]] = set()
        self.cuts = 0
        self.port = 0

    def url(self, database: str) -> str:
        """Return the URL of a database behind the proxy."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def arm(self, moment: Moment, mark: bytes) -> None:
        """Cut at the next message that has `mark` in it."""
        self._moment, self._mark = moment, mark

    async def __aenter__(self) -> CuttingProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        from_server, to_server = await asyncio.open_unix_connection(self._target)
        swallow = asyncio.Event()
        back = asyncio.create_task(self._back(from_server, writer, swallow))
        forth = asyncio.create_task(self._forth(reader, to_server, swallow, back))
        try:
            await asyncio.wait([forth, back], return_when=asyncio.FIRST_COMPLETED)
            if swallow.is_set():
                await forth
        except asyncio.CancelledError:
            return  # the test is over
        finally:
            for way in (forth, back):
                way.cancel()
            await asyncio.gather(forth, back, return_exceptions=True)
            for side in (writer, to_server):
                side.close()
                with suppress(OSError):
                    await side.wait_closed()

    async def _forth(
        self,
        reader: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        swallow: asyncio.Event,
        back: asyncio.Task[None],
    ) -> None:
        while data := await reader.read(65536):
            if self._moment is not None and self._mark in data:
                moment, self._moment = self._moment, None
                self.cuts += 1
                if moment == "after":
                    swallow.set()
                    to_server.write(data)
                    await to_server.drain()
                    await asyncio.wait([back], timeout=5)
                return
            to_server.write(data)
            await to_server.drain()

    async def _back(
        self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter, swallow: asyncio.Event
    ) -> None:
        while data := await from_server.read(65536):
            if swallow.is_set():  # PostgreSQL has answered; nobody will know
                connection: socket.socket = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            writer.write(data)
            await writer.drain()
