"""The hold sweeper: settles the holds of processes that died, by the database's clock.

A living gateway renews its holds, so one that has expired has no owner. It is settled from its last
checkpoint, never for more than was delivered; without one it is given back (state `expired`: evidence may
still come within a day). Every change is a compare-and-set in the ledger, so two sweepers do no harm.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from deepspace.billing.errors import HoldNotOpen, LedgerUnavailable
from deepspace.billing.ledger import Capture, Ledger, Release
from deepspace.billing.rates import Usage
from deepspace.billing.repository import PriceRepository, overdue_holds
from deepspace.billing.service import price_from_row
from deepspace.kit.db import Database, Record
from deepspace.kit.failpoints import reach
from deepspace.kit.log import get_logger

log = get_logger(__name__)

BATCH = 500

JournalFor = Callable[[Record, int | None], Sequence[Any]]
"""Returns the journal rows of a swept hold; the second argument is what was charged, None if it was given
back."""


class Sweeper:
    """Settles overdue holds."""

    def __init__(
        self, database: Database, ledger: Ledger, journal_for: JournalFor, *, grace_s: float
    ) -> None:
        """Sweep only after `grace_s` of unbroken contact with the database.

        When it comes back after an outage every hold looks overdue; the grace lets living gateways renew
        theirs.
        """
        self._database = database
        self._ledger = ledger
        self._journal_for = journal_for
        self._grace_s = grace_s
        self._contact_since: float | None = None

    async def sweep(self) -> int:
        """Settle what is overdue and return how many holds that were."""
        now = time.monotonic()
        try:
            async with self._database.platform() as tx:
                overdue = await overdue_holds(tx, BATCH)
        except Exception:
            self._contact_since = None
            raise
        self._contact_since = self._contact_since or now
        if now - self._contact_since < self._grace_s:
            return 0
        return sum(await asyncio.gather(*(self._settle(hold) for hold in overdue)))

    async def _settle(self, hold: Record) -> int:
        reach("sweep.before_settle")
        try:
            if hold.progress_output_tokens:
                await self._capture(hold)
            else:
                journal = self._journal_for(hold, None)
                await self._ledger.release(Release(hold.org_id, hold.id, journal, expired=True))
        except HoldNotOpen:
            return 0  # its owner, or another sweeper, was first
        except LedgerUnavailable:
            return 0  # the next sweep finds it again
        log.warning("overdue hold settled", billing_ref_id=hold.billing_ref_id, trace_id=hold.trace_id)
        return 1

    async def _capture(self, hold: Record) -> None:
        async with self._database.platform() as tx:
            row = await PriceRepository(tx).price(hold.price_id)
        if row is None:
            raise LookupError(f"hold {hold.id} names price {hold.price_id}, which does not exist")
        usage = Usage(input=hold.estimated_input_tokens, output=hold.progress_output_tokens)
        cost = min(price_from_row(row).cost_nano(usage), hold.amount_nano)
        journal = self._journal_for(hold, cost)
        await self._ledger.capture(
            Capture(hold.org_id, hold.id, usage, cost, "checkpoint", hold.channel_id, journal)
        )
