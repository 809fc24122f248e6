"""Passwords: argon2id (RFC 9106) in a thread, behind a semaphore, so that a login storm cannot eat the
CPU, and with a bound on those who wait, so that a storm is refused instead of queued."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from deepspace.kit.errors import Overloaded

MIN_LENGTH = 10
MAX_WAITING = 64
"""Hashes that may wait for their turn, in one gateway process: about two seconds of work."""

NICENESS = 15
"""How far hashing stands back behind the calls of the same process, as `nice` counts."""

Result = TypeVar("Result")


def _stand_back() -> None:
    """Give the calling thread a lower priority. Linux keeps one for each thread (setpriority(2), "C
    library/kernel differences"); elsewhere hashing runs beside everything else."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class Passwords:
    """Hashes and verifies with 19 MiB, 2 passes, 1 lane (OWASP's floor for argon2id)."""

    def __init__(self, parallel: int = 1, max_waiting: int = MAX_WAITING) -> None:
        """At most `parallel` hashes are computed at a time and `max_waiting` wait; more are refused with
        Overloaded (503)."""
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._threads = ThreadPoolExecutor(parallel, "argon2", initializer=_stand_back)
        self._gate = asyncio.Semaphore(parallel)
        self._max_waiting = max_waiting
        self._waiting = 0
        self._decoy = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Return the encoded hash."""
        return await self._in_turn(self._hasher.hash, password)

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Tell whether `password` fits; takes as long for an unknown user (encoded is None) as for a known
        one."""
        fits = await self._in_turn(self._verify, encoded or self._decoy, password)
        return fits and encoded is not None

    def is_outdated(self, encoded: str) -> bool:
        """Tell whether a hash was made with other parameters than today's and should be made again."""
        return self._hasher.check_needs_rehash(encoded)

    async def _in_turn(self, work: Callable[..., Result], *arguments: str) -> Result:
        if self._gate.locked() and self._waiting >= self._max_waiting:
            raise Overloaded("Too many sign-ins at once; try again shortly.", headers={"retry-after": "2"})
        self._waiting += 1
        try:
            await self._gate.acquire()
        finally:
            self._waiting -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._gate.release()

    def _verify(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (Argon2Error, InvalidHashError):
            return False
