"""Passwords: argon2id (RFC 9106) in a thread, behind a semaphore, so that a login storm cannot eat the
CPU."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

MIN_LENGTH = 10


class Passwords:
    """Hashes and verifies with 19 MiB, 2 passes, 1 lane (OWASP's floor for argon2id)."""

    def __init__(self, parallel: int = 1) -> None:
        """At most `parallel` hashes are computed at a time; the others wait."""
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._gate = asyncio.Semaphore(parallel)
        self._decoy = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """Return the encoded hash."""
        async with self._gate:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Tell whether `password` fits; takes as long for an unknown user (encoded is None) as for a known
        one."""
        async with self._gate:
            fits = await asyncio.to_thread(self._verify, encoded or self._decoy, password)
        return fits and encoded is not None

    def _verify(self, encoded: str, password: str) -> bool:
        try:
            return self._hasher.verify(encoded, password)
        except (Argon2Error, InvalidHashError):
            return False
