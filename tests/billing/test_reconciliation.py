"""The recomputation of costs finds a record that was changed."""

from __future__ import annotations

import psycopg

from deepspace.billing.reconciliation import wrong_costs
from deepspace.kit.db import Database
from tests.support.live import Live


async def test_a_changed_cost_is_found(live: Live) -> None:
    reference = live.chat("fake-echo", "count me").headers["x-billing-ref-id"]
    database = Database(live.database_url)
    query = (
        "UPDATE usage_records u SET cost_nano = cost_nano + %s FROM holds h "
        "WHERE h.id = u.hold_id AND h.billing_ref_id = %s RETURNING u.hold_id"
    )
    try:
        async with database.platform() as tx:
            assert await wrong_costs(tx, 1_000) == []
        with psycopg.connect(live.database_url) as connection:
            changed = connection.execute(query, (1, reference)).fetchone()
        async with database.platform() as tx:
            assert await wrong_costs(tx, 1_000) == list(changed or ())
    finally:
        with psycopg.connect(live.database_url) as connection:
            connection.execute(query, (-1, reference))
        await database.close()
