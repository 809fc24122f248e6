"""audit: what will be remembered of the call. One row, committed together with the money."""

from __future__ import annotations

from typing import Any

import msgspec

from deepspace.audit.entry import AuditEntry
from deepspace.billing.ledger import Capture, Release
from deepspace.kit.ids import uuid7
from deepspace.pipeline.exchange import Attempt, Exchange


class AuditStep:
    """Writes the journal of a call. A call that named no valid caller leaves no row: it is only counted."""

    name = "audit"

    async def __call__(self, x: Exchange) -> None:
        """Write journal."""
        if x.principal is None or x.org_id is None:
            return
        key = x.principal.key
        x.journal = (
            AuditEntry(
                id=uuid7(),
                org_id=x.org_id,
                event=_event(x),
                trace_id=x.trace_id,
                actor_kind=x.principal.kind,
                actor_id=key.id if key is not None else x.principal.user_id,
                detail=msgspec.json.encode(_detail(x)).decode(),
            ),
        )


def _event(x: Exchange) -> str:
    if isinstance(x.settlement, Capture):
        return "call.captured"
    if isinstance(x.settlement, Release):
        return "call.released"
    return "call.replayed" if x.replay is not None else "call.refused"


def _detail(x: Exchange) -> dict[str, Any]:
    principal = x.principal
    key = principal.key if principal is not None else None
    return {
        "billing_ref_id": x.billing_ref_id,
        "hold_id": x.hold_id,
        "replayed": x.replay is not None,
        "project_id": x.project_id,
        "path": x.path,
        "client_ip": x.client_ip,
        "model": x.call.model,
        "stream": x.call.stream,
        "request_bytes": len(x.call.body),
        "started_at": x.started_at.isoformat(),
        "duration_ms": _ms(x.clock.monotonic_ns() - x.started_ns),
        "client_left": x.presence.gone.is_set(),
        "identity": {
            "kind": principal.kind if principal is not None else None,
            "user_id": principal.user_id if principal is not None else None,
            "api_key_id": key.id if key is not None else None,
            "api_key_name": key.name if key is not None else None,
        },
        "error": None
        if x.error is None
        else {"code": x.error.code, "message": x.error.message, "status": x.error.status},
        "attempts": [_attempt(attempt) for attempt in x.attempts],
        "timeline": [
            {
                "offset_ms": _ms(event.at_ns - x.started_ns),
                "step": event.step,
                "event": event.event,
                "duration_ms": _ms(event.duration_ns) if event.duration_ns is not None else None,
                "detail": event.detail,
            }
            for event in x.timeline
        ],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "channel_id": attempt.route.channel_id,
        "channel_name": attempt.route.channel_name,
        "model": attempt.route.model,
        "upstream_model": attempt.route.upstream_model,
        "status": attempt.status,
        "error": attempt.error,
        "started_at": attempt.started_at.isoformat(),
        "first_byte_ms": attempt.first_byte_ms,
        "duration_ms": attempt.duration_ms,
        "response_bytes": attempt.response_bytes,
    }


def _ms(nanoseconds: int) -> float:
    return nanoseconds // 1000 / 1000
