"""A small read-through cache for the hot path: bounded age, one load at a time per key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


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
        self._loading: dict[Key, asyncio.Task[Value]] = {}

    async def get(self, key: Key) -> Value:
        """Return the value for `key`, loading it if it is unknown or too old."""
        entry = self._entries.get(key)
        if entry is not None and time.monotonic_ns() - entry[0] < self._max_age_ns:
            return entry[1]
        task = self._loading.get(key)
        if task is None:
            task = asyncio.ensure_future(self._fetch(key))
            self._loading[key] = task
            task.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(task)

    def forget(self, key: Key) -> None:
        """Drop one entry at once."""
        self._entries.pop(key, None)

    async def _fetch(self, key: Key) -> Value:
        value = await self._load(key)
        if len(self._entries) >= self._max_entries:
            self._entries.pop(next(iter(self._entries)))
        self._entries.pop(key, None)
        self._entries[key] = (time.monotonic_ns(), value)
        return value
