"""The trace page: what the books and the audit log say of one trace id, joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from deepspace.accounts.principal import Principal
from deepspace.accounts.projects import project_place
from deepspace.audit.repository import AuditRepository, orgs_of_trace
from deepspace.kit.db import Database, Transaction
from deepspace.kit.errors import NotFound
from deepspace.kit.ids import is_trace_id, parse_uuid

_UNKNOWN = "There is no trace with this id, or it is not yours to see."


class Money(Protocol):
    """What the trace page needs to know about money; the billing slice implements it."""

    async def orgs(self, tx: Transaction, trace_id: str) -> list[UUID]:
        """Return the organisations with calls of this trace."""
        ...

    async def calls(
        self, tx: Transaction, org_id: UUID, trace_id: str, hold_ids: Sequence[UUID]
    ) -> list[dict[str, Any]]:
        """Return the calls named, and the open ones of the trace, in this organisation, newest first."""
        ...


class TraceService:
    """Tells the story of a trace to those who may hear it."""

    def __init__(self, money: Money, currency: str) -> None:
        """`money` is the billing slice's side of the story."""
        self._money = money
        self._currency = currency

    async def trace(self, database: Database, principal: Principal, trace_id: str) -> dict[str, Any]:
        """Return the newest call of the trace, with the states of all; NotFound if none is the caller's to
        see. Each organisation is read in a transaction that sees no other's rows."""
        stories: list[dict[str, Any]] = []
        if not is_trace_id(trace_id):
            raise NotFound(_UNKNOWN)
        operates = principal.may_operate("operator:traces")
        for org_id in await self._visible_orgs(database, principal, trace_id):
            async with database.tenant(org_id) as tx:
                found = await self._stories(tx, org_id, trace_id)
                stories += [
                    story for story in found if operates or await _may_see(tx, org_id, principal, story)
                ]
        if not stories:
            raise NotFound(_UNKNOWN)
        stories.sort(key=lambda story: story["started_at"], reverse=True)
        overview = [
            {name: story[name] for name in ("billing_ref_id", "state", "model", "started_at", "cost")}
            for story in stories
        ]
        return {**stories[0], "calls": overview}

    async def _visible_orgs(self, database: Database, principal: Principal, trace_id: str) -> list[UUID]:
        visible = list(principal.memberships)
        if principal.may_operate("operator:traces"):
            async with database.platform() as tx:
                found = {*await self._money.orgs(tx, trace_id), *await orgs_of_trace(tx, trace_id)}
            visible += sorted(found - set(visible))
        return visible

    async def _stories(self, tx: Transaction, org_id: UUID, trace_id: str) -> list[dict[str, Any]]:
        rows = await AuditRepository(tx, org_id).of_trace(trace_id)
        logged = {row.detail.get("billing_ref_id"): row for row in rows}
        hold_ids = [UUID(row.detail["hold_id"]) for row in rows if row.detail.get("hold_id")]
        calls = await self._money.calls(tx, org_id, trace_id, hold_ids)
        stories = [
            self._story(org_id, trace_id, call, logged.pop(call["billing_ref_id"], None)) for call in calls
        ]
        refused = (
            row for row in rows if row.event == "call.refused" and row.detail.get("billing_ref_id") is None
        )
        return stories + [self._story(org_id, trace_id, self._refused(row), row) for row in refused]

    def _story(self, org_id: UUID, trace_id: str, call: dict[str, Any], row: Any) -> dict[str, Any]:
        detail: dict[str, Any] = row.detail if row is not None else {}
        return {
            **call,
            "trace_id": trace_id,
            "organization_id": org_id,
            "project_id": call["project_id"] or detail.get("project_id"),
            "stream": detail.get("stream", False),
            "started_at": detail.get("started_at") or call["started_at"].isoformat(),
            "duration_ms": detail.get("duration_ms"),
            "identity": detail.get("identity"),
            "error": detail.get("error"),
            "attempts": detail.get("attempts", []),
            "timeline": detail.get("timeline", []),
        }

    def _refused(self, row: Any) -> dict[str, Any]:
        return {
            "billing_ref_id": None,
            "project_id": None,
            "state": "refused",
            "model": row.detail.get("model"),
            "started_at": row.created_at,
            "ended_at": row.created_at,
            "currency": self._currency,
            "cost": None,
            "hold": None,
            "usage": None,
            "price": None,
            "transactions": [],
        }


async def _may_see(tx: Transaction, org_id: UUID, principal: Principal, story: Mapping[str, Any]) -> bool:
    """Tell whether the caller may see a call: by their place in its project, which may be a closed one.
    What was refused before it had a project is seen by who may see the organisation's traces."""
    place = principal.memberships[org_id]
    project_id = parse_uuid(str(story["project_id"]))
    project = await project_place(tx, org_id, project_id) if project_id is not None else None
    if project is None:
        return "traces:read" in place.permissions
    return place.may(project, "traces:read")
