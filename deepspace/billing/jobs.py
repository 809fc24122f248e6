"""Periodic work of the billing slice; worker/schedule.py says when."""

from __future__ import annotations

from datetime import timedelta

from deepspace.billing.invariants import CHECKS
from deepspace.billing.reconciliation import wrong_costs
from deepspace.billing.repository import forget_answers
from deepspace.kit.db import Database
from deepspace.kit.log import get_logger

log = get_logger(__name__)

KEEP_ANSWERS = timedelta(hours=24)
RECOMPUTED = 2_000


async def check_invariants(database: Database) -> list[str]:
    """Check the books and return the names of the invariants that are broken; each is logged as an error."""
    broken: list[str] = []
    async with database.platform() as tx:
        for check in CHECKS:
            count = await check.count(tx)
            if count:
                broken.append(check.name)
                log.error(
                    "invariant of the books is broken", invariant=check.name, rows=count, text=check.text
                )
        wrong = await wrong_costs(tx, RECOMPUTED)
    if wrong:
        broken.append("cost")
        log.error("recorded cost is not tokens × price", calls=[str(call) for call in wrong[:20]])
    return broken


async def forget_old_answers(database: Database) -> None:
    """Delete stored answers that are over a day old."""
    async with database.platform() as tx:
        count = await forget_answers(tx, KEEP_ANSWERS)
    if count:
        log.info("stored answers forgotten", count=count)
