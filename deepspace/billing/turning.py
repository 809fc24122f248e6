"""Turning a hold to another model, before that model is asked.

The hold was made at the dearest bound of all the models that may answer, so turning it moves no money: it
only says which price version is due from here on. It is committed before anything is sent, so whoever settles
the hold (its gateway, or the sweeper after that has died) reckons with the price of the model that answered.
"""

from __future__ import annotations

import asyncio
from uuid import UUID

from deepspace.billing.errors import HoldNotOpen, LedgerUnavailable
from deepspace.billing.repository import turn_hold
from deepspace.kit.db import Database

PATIENCE_S = 2.0


class Turner:
    """Turns holds. In a transaction of its own beside the writer's batches: it happens only when a provider
    has failed."""

    def __init__(self, database: Database) -> None:
        """Write to this database."""
        self._database = database

    async def turn(self, hold_id: UUID, model: str, price_id: int) -> None:
        """Make a hold one of `model` at a price version, durably; HoldNotOpen if it has ended,
        LedgerUnavailable if the database does not answer in time."""
        try:
            async with asyncio.timeout(PATIENCE_S), self._database.platform() as tx:
                turned = await turn_hold(tx, hold_id, model, price_id)
        except TimeoutError:
            raise LedgerUnavailable(headers={"retry-after": "2"}) from None
        if not turned:
            raise HoldNotOpen
