"""SQL over the calls the audit log remembers: summed by the minute, for questions about many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from deepspace.kit.db import Transaction

# The lower bound on the id reads a range of the primary key (ids are UUIDv7: in the order of time) where no
# organisation narrows the search. Rows are written at the end of a call, so SLACK before is enough.
_LET_THROUGH = """
SELECT org_id, detail ->> 'model' AS model, detail ->> 'client_ip' AS client_ip,
       detail -> 'identity' ->> 'user_id' AS user_id, detail -> 'identity' ->> 'api_key_id' AS api_key_id,
       date_trunc('minute', coalesce((detail ->> 'started_at')::timestamptz, created_at)) AS minute,
       count(*)::int AS calls, max(trace_id) AS trace_id
FROM audit_logs
WHERE event IN ('call.captured', 'call.released', 'call.replayed') AND org_id IS NOT NULL
  AND created_at >= :since AND id >= :first_id AND (CAST(:org AS uuid) IS NULL OR org_id = :org)
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY minute DESC, calls DESC LIMIT :limit
"""

SLACK = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class CallGroup:
    """Calls of one minute that have all of this in common; `trace_id` is one of them."""

    org_id: UUID
    model: str | None
    client_ip: str | None
    user_id: str | None
    api_key_id: str | None
    minute: datetime
    calls: int
    trace_id: str | None


class RecordedCalls:
    """Calls that were let through, by minute, model, address, person and key."""

    async def since(
        self, tx: Transaction, org_id: UUID | None, since: datetime, limit: int
    ) -> Sequence[CallGroup]:
        """Return up to `limit` groups, newest first; of every organisation for None, which needs a platform
        transaction."""
        first_id = UUID(int=int((since - SLACK).timestamp() * 1000) << 80)
        values = {"org": org_id, "since": since, "first_id": first_id, "limit": limit}
        return [CallGroup(*row) for row in (await tx.execute(text(_LET_THROUGH), values)).all()]
