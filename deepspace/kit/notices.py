"""PostgreSQL's NOTIFY, heard by every process: what is cached elsewhere hears that it is out of date.

A notice is a hint, never the truth: who hears one looks again. Notices can be lost (a connection that died,
a pause), so whoever listens is told of every gap, and what it caches has an age of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import asyncpg

from deepspace.kit.log import get_logger

log = get_logger(__name__)

PING_S = 1.0
"""How often the connection is tried, so that one that died silently is found."""

RETRY_S = 0.5

_connect: Any = cast("Any", asyncpg).connect  # only partly typed


class NoticeListener:
    """Listens on one channel, on a connection of its own, for as long as the process lives."""

    def __init__(
        self, url: str, channel: str, on_notice: Callable[[str], None], on_gap: Callable[[], None]
    ) -> None:
        """`on_notice` gets each payload; `on_gap` is called whenever some may have been missed."""
        self._url = url
        self._channel = channel
        self._on_notice = on_notice
        self._on_gap = on_gap
        self._task: asyncio.Task[None] | None = None
        self.listening = False

    async def start(self) -> None:
        """Begin to listen; returns at once, also if the database is away."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"listen {self._channel}")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if self.listening:
                    log.warning("notices are not heard", channel=self._channel, error=str(error))
            self.listening = False
            self._on_gap()
            await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        settings = {"application_name": "deepspace-notices"}
        connection = await _connect(self._url, timeout=3, command_timeout=3, server_settings=settings)
        try:
            await connection.add_listener(self._channel, self._heard)
            self._on_gap()  # what happened before this moment was not heard
            self.listening = True
            while True:
                await asyncio.sleep(PING_S)
                await connection.execute("SELECT 1")
        finally:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._on_notice(str(payload))
