"""A small read-through cache for the hot path: bounded age, one load at a time per key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from deepspace.kit.errors import DatabaseUnavailable

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


PATIENCE_S = 2.5
"""How long a call waits for a look-up. A database that hangs must not hang every call: 503 then, and the
look-up goes on for the next."""


class ReadThrough(Generic[Key, Value]):
    """Remembers what `load` returned for at most `max_age_s`; concurrent misses share one load."""

    def __init__(
        self, load: Callable[[Key], Awaitable[Value]], *, max_age_s: float, max_entries: int
    ) -> None:
        """`max_age_s` bounds how long a change elsewhere (a revoked key) can stay unseen."""
        self._load = load
        self._max_age_ns = int(max_age_s * 1e9)
        self._max_entries = max_entries
        self._entries: dict[Key, tuple[int, Value]] = {}
        self._loading: dict[Key, asyncio.Future[Value]] = {}

    async def get(self, key: Key) -> Value:
        """Return the value for `key`, loading it if it is unknown or too old.

        Raises DatabaseUnavailable if that takes longer than PATIENCE_S, or what `load` raises.
        """
        entry = self._entries.get(key)
        if entry is not None and time.monotonic_ns() - entry[0] < self._max_age_ns:
            return entry[1]
        task = self._loading.get(key)
        if task is None:
            task = asyncio.ensure_future(self._load(key))
            self._loading[key] = task
            started_ns = time.monotonic_ns()
            task.add_done_callback(lambda done: self._loaded(key, done, started_ns))
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asyncio.shield(task)
        except TimeoutError:
            raise DatabaseUnavailable(headers={"retry-after": "2"}) from None

    def forget(self, key: Key) -> None:
        """Drop one entry at once. What is being loaded just now goes to those who wait, and is not kept."""
        self._entries.pop(key, None)
        self._loading.pop(key, None)

    def forget_where(self, changed: Callable[[Value], bool]) -> None:
        """Drop every entry whose value is `changed`. Look-ups under way began before the change was heard of:
        they go to those who wait, and are not kept."""
        self._loading.clear()
        for key in [key for key, (_, value) in self._entries.items() if changed(value)]:
            del self._entries[key]

    def _loaded(self, key: Key, task: asyncio.Future[Value], started_ns: int) -> None:
        """Keep a value; its age counts from the moment it was asked for."""
        failed = task.cancelled() or task.exception() is not None  # seen, also if nobody waits any more
        if self._loading.get(key) is not task:
            return
        del self._loading[key]
        if failed:
            return
        self._entries.pop(key, None)
        if len(self._entries) >= self._max_entries:
            self._entries.pop(next(iter(self._entries)))
        self._entries[key] = (started_ns, task.result())
