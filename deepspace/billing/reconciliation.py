"""Does each usage record cost what its tokens come to under its price version?

The invariants compare the books with themselves; this recomputes them from what was used.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from deepspace.billing.repository import PriceRepository, newest_usage
from deepspace.billing.service import price_from_row
from deepspace.billing.story import usage_from_row
from deepspace.kit.db import Transaction


async def wrong_costs(tx: Transaction, limit: int) -> Sequence[UUID]:
    """Return the calls among the newest `limit` whose recorded cost is not tokens × price.

    A call settled from a checkpoint may cost less than that: it is bounded by its hold.
    """
    prices = {price.id: price_from_row(price) for price in await PriceRepository(tx).all()}
    wrong: list[UUID] = []
    for row in await newest_usage(tx, limit):
        price = prices.get(row.price_id)
        cost = price.cost_nano(usage_from_row(row)) if price is not None else None
        fits = cost is not None and (
            row.cost_nano == cost or (row.source == "checkpoint" and row.cost_nano < cost)
        )
        if not fits:
            wrong.append(row.hold_id)
    return wrong
