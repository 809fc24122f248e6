"""The one durable commit at the end of a call."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from deepspace.billing.errors import LedgerUnavailable
from deepspace.billing.ledger import Capture, Ledger, Release
from deepspace.kit.log import get_logger
from deepspace.pipeline.exchange import Exchange

log = get_logger(__name__)

_WAITS_S = (0.1, 0.3, 1, 2, 4, 8, 15)


class Settle:
    """Commits money, usage and audit together. A database that is away is asked again for half a minute.

    If it stays away the hold stays open, durable, for the sweeper to settle; the client is told.
    """

    def __init__(self, ledger: Ledger) -> None:
        """Settle on this ledger."""
        self._ledger = ledger

    async def __call__(self, x: Exchange) -> None:
        """Commit the settlement of `x`; a call that never had a hold only leaves its journal."""
        for wait_s in _WAITS_S:
            try:
                return await self._commit(x)
            except LedgerUnavailable:
                log.warning("ledger away, trying again", wait_s=wait_s, billing_ref_id=x.billing_ref_id)
                await asyncio.sleep(wait_s)
        return await self._commit(x)

    async def _commit(self, x: Exchange) -> None:
        settlement = x.settlement
        if isinstance(settlement, Capture):
            captured = await self._ledger.capture(replace(settlement, journal=x.journal))
            if captured.absorbed_nano:
                log.error("cost above the hold was absorbed", absorbed_nano=captured.absorbed_nano)
        elif isinstance(settlement, Release):
            await self._ledger.release(replace(settlement, journal=x.journal))
        elif x.journal:
            await self._ledger.note(x.journal)
