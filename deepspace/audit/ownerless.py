"""The audit rows of calls that were ended without their owner: by the hold sweeper, or by the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from deepspace.audit.entry import AuditEntry
from deepspace.kit.ids import uuid7
from deepspace.kit.money import decimal_from_nano


def swept_journal(hold: Any, cost_nano: int | None) -> Sequence[AuditEntry]:
    """Return the row of a call whose gateway died; `cost_nano` is what was charged, None if the hold was
    given back."""
    detail = _ended_by("sweeper", hold, cost_nano, {"source": "checkpoint"})
    detail["started_at"] = hold.created_at.isoformat()
    detail["error"] = {
        "code": "gateway_lost",
        "message": "The gateway process died during this call; it was settled from its last checkpoint.",
        "status": 500,
    }
    event = "call.released" if cost_nano is None else "call.captured"
    return (_row(hold.org_id, event, hold.trace_id, "sweeper", detail),)


def given_back_journal(hold: Any) -> Sequence[AuditEntry]:
    """Return the row of a hold that was committed after its caller had been refused for waiting too long."""
    detail = _ended_by("ledger", hold, None, {})
    detail["error"] = {
        "code": "hold_too_late",
        "message": "The call was refused before its hold was committed; nothing was sent, the hold is back.",
        "status": 503,
    }
    return (_row(hold.org_id, "call.released", hold.trace_id, "ledger", detail),)


def _ended_by(step: str, hold: Any, cost_nano: int | None, more: dict[str, Any]) -> dict[str, Any]:
    amount = hold.amount_nano if cost_nano is None else cost_nano
    event = "billing.released" if cost_nano is None else "billing.captured"
    told = {"amount": decimal_from_nano(amount), **more}
    return {
        "billing_ref_id": hold.billing_ref_id,
        "hold_id": str(hold.id),
        "project_id": str(hold.project_id) if hold.project_id is not None else None,
        "model": hold.model,
        "timeline": [{"offset_ms": 0.0, "step": step, "event": event, "detail": told}],
    }


def _row(org_id: UUID, event: str, trace_id: str, actor: str, detail: dict[str, Any]) -> AuditEntry:
    return AuditEntry(
        id=uuid7(),
        org_id=org_id,
        event=event,
        trace_id=trace_id,
        actor_kind=actor,
        actor_id=None,
        detail=msgspec.json.encode(detail).decode(),
    )
