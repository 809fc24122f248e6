"""The trace page's data."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter

from deepspace.accounts.guard import SignedIn
from deepspace.accounts.principal import Principal
from deepspace.audit.schemas import TraceView
from deepspace.audit.service import TraceService
from deepspace.kit.db import Database
from deepspace.kit.web import provided

router = APIRouter(prefix="/api", tags=["audit"])


@router.get("/traces/{trace_id}", summary="What happened in a call")
async def trace(
    trace_id: str,
    principal: Annotated[Principal, SignedIn],
    traces: Annotated[TraceService, provided(TraceService)],
    db: Annotated[Database, provided(Database)],
) -> TraceView:
    """Return the story of a call: identity, steps, hold, upstream attempts, usage, price and movements.

    Needs `traces:read` in the organisation that made the call; operators see every organisation's.
    """
    return TraceView.model_validate(await traces.trace(db, principal, trace_id))
