"""The audit row of a call that the hold sweeper had to settle because its gateway died."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from deepspace.audit.entry import AuditEntry
from deepspace.kit.ids import uuid7
from deepspace.kit.money import decimal_from_nano


def swept_journal(hold: Any, cost_nano: int | None) -> Sequence[AuditEntry]:
    """Return the row for a swept hold; `cost_nano` is what was charged, None if the hold was given back."""
    event = "billing.released" if cost_nano is None else "billing.captured"
    amount = hold.amount_nano if cost_nano is None else cost_nano
    detail: dict[str, Any] = {
        "billing_ref_id": hold.billing_ref_id,
        "hold_id": str(hold.id),
        "project_id": str(hold.project_id) if hold.project_id is not None else None,
        "model": hold.model,
        "started_at": hold.created_at.isoformat(),
        "error": {
            "code": "gateway_lost",
            "message": "The gateway process died during this call; it was settled from its last checkpoint.",
            "status": 500,
        },
        "timeline": [
            {
                "offset_ms": 0.0,
                "step": "sweeper",
                "event": event,
                "detail": {"amount": decimal_from_nano(amount), "source": "checkpoint"},
            }
        ],
    }
    return (
        AuditEntry(
            id=uuid7(),
            org_id=hold.org_id,
            event="call.released" if cost_nano is None else "call.captured",
            trace_id=hold.trace_id,
            actor_kind="sweeper",
            actor_id=None,
            detail=msgspec.json.encode(detail).decode(),
        ),
    )
