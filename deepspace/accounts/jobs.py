"""Periodic work of the accounts slice."""

from __future__ import annotations

from deepspace.accounts.identity_repository import forget_expired
from deepspace.kit.clock import Clock
from deepspace.kit.db import Database


async def forget_expired_sign_ins(database: Database, clock: Clock) -> None:
    """Delete tokens past their time, counters of knocks from days ago, and sessions that ended long ago."""
    async with database.platform() as tx:
        await forget_expired(tx, clock.now())
